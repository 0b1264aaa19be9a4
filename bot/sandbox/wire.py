"""Reaching below ASGI, to the TCP connection a request came on: faults cut it or let it go mute.

ASGI gives no way to close a connection without an answer, so `serve` notes in each scope the server's open
connections and the peer's address, and the one that fits is ours.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

CONNECTIONS = "sandbox.connections"
PEER = "sandbox.peer"


def noting(app: ASGIApp, connections: Collection[Any]) -> ASGIApp:
    """Wrap an app so that `cut` and `mute` find their connection; it goes outside of proxies."""

    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            scope[CONNECTIONS], scope[PEER] = connections, scope["client"]
        await app(scope, receive, send)

    return noted


def connection(scope: Scope) -> Any:
    """Return the server's protocol object of a scope."""
    for candidate in scope.get(CONNECTIONS, ()):
        if candidate.client == scope[PEER]:
            return candidate
    raise LookupError("the connection is not known here; faults that cut it need bot.sandbox.server.serve")


async def cut(scope: Scope) -> None:
    """Close the connection at once, whatever was to be sent on it."""
    connection(scope).transport.abort()
    await asyncio.sleep(0)  # the server learns of it in the loop's next turn, and then drops our answer


async def mute(scope: Scope, receive: Receive, seconds: float) -> None:
    """Keep a WebSocket open without reading or writing it: pings get no pong; then cut it."""
    quiet = connection(scope)
    quiet.stop_keepalive()
    quiet.transport.pause_reading()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            # Reading is paused, so only the server's own end can disconnect here.
            while (await receive())["type"] != "websocket.disconnect":
                quiet.transport.pause_reading()
    quiet.transport.abort()
