"""Events as they happen, over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from bot.sandbox.call import Sandbox, base, person_of, token_of
from bot.sandbox.errors import ApiError, bad_token, not_found
from bot.sandbox.faults import STREAM, Fault, Faults
from bot.sandbox.hub import Listener
from bot.sandbox.wire import mute

STREAMS = frozenset({"user", "user:notification", "public", "public:local"})


def handler(sandbox: Sandbox) -> Callable[[WebSocket], Coroutine[Any, Any, None]]:
    """Return the WebSocket endpoint GET /api/v1/streaming?stream=..."""

    async def stream(websocket: WebSocket) -> None:
        try:
            if not sandbox.dialect.streams:
                raise not_found()
            await sandbox.faults.before(STREAM)
            listener = _admit(sandbox, websocket)
        except ApiError as error:
            await websocket.send_denial_response(error.response())
            # Until it has closed, uvicorn takes a refused handshake for a forgotten one.
            await asyncio.sleep(0)
            return
        # A browser that offered its token as a protocol hangs up unless it is echoed.
        offered = websocket.scope["subprotocols"]
        await websocket.accept(subprotocol=offered[0] if offered else None)
        sandbox.hub.listeners.add(listener)
        try:
            with contextlib.suppress(WebSocketDisconnect):
                await converse(sandbox, websocket, listener)
        finally:
            sandbox.hub.listeners.discard(listener)

    return stream


def _admit(sandbox: Sandbox, websocket: WebSocket) -> Listener:
    offered = websocket.scope["subprotocols"]
    person = person_of(sandbox.store, token_of(websocket) or (offered[0] if offered else ""))
    if person is None:
        raise bad_token()
    listener = Listener(person["id"], base(websocket), asyncio.get_running_loop().create_future())
    wanted = websocket.query_params.get("stream")
    if wanted is not None and wanted not in STREAMS:
        raise ApiError(400, f"Unknown stream type {wanted[:40]!r}; use one of {', '.join(sorted(STREAMS))}")
    listener.streams |= {wanted} if wanted else set()
    return listener


async def converse(sandbox: Sandbox, websocket: WebSocket, listener: Listener) -> None:
    """Serve a listener until it hangs up, or a fault ends it."""
    at_once = sandbox.faults.draw_now()
    if at_once:
        listener.finish(at_once)
    reading = asyncio.create_task(read(websocket, listener))
    writing = asyncio.create_task(write(websocket, listener, sandbox.faults))
    try:
        ends: set[asyncio.Future[Any]] = {reading, writing, listener.end}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        reading.cancel()
        writing.cancel()
        await asyncio.gather(reading, writing, return_exceptions=True)
    if reading.done() and not reading.cancelled():
        return  # the peer is gone, or has said something that is no text
    fault = listener.end.result() if listener.end.done() else writing.result()
    sandbox.hub.listeners.discard(listener)
    if fault and fault.kind == "stream_silent":
        await mute(websocket.scope, websocket.receive, fault.seconds)
    else:
        await websocket.close(1000)


async def read(websocket: WebSocket, listener: Listener) -> None:
    """Follow what the peer subscribes to, until it hangs up."""
    while True:
        try:
            wish = json.loads(await websocket.receive_text())
            name, stream = wish["type"], wish["stream"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # Mastodon too passes over what it cannot read
        if not isinstance(stream, str):
            continue
        if name == "subscribe" and stream in STREAMS:
            listener.streams.add(stream)
        elif name == "unsubscribe":
            listener.streams.discard(stream)


async def write(websocket: WebSocket, listener: Listener, faults: Faults) -> Fault | None:
    """Send events as they come; returns the fault that wants the connection ended."""
    while True:
        batch = [await listener.queue.get()]
        overtaken = faults.draw(STREAM, "stream_reorders")
        if overtaken:
            with contextlib.suppress(TimeoutError):
                batch.insert(0, await asyncio.wait_for(listener.queue.get(), overtaken.seconds))
        silent = faults.draw(STREAM, "stream_silent")
        if silent:
            return silent
        for message in batch:
            for _ in range(2 if faults.draw(STREAM, "stream_repeats") else 1):
                await websocket.send_text(message)
        closes = faults.draw(STREAM, "stream_closes")
        if closes:
            return closes
