"""What keeps other web pages away from this one: by which names we answer, and headers that bind browsers."""

from __future__ import annotations

import asyncio
import re

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    b"content-security-policy": (
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
        b"connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
}
# Hosts that stand for every address → how this machine reaches them in a URL.
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104
ALWAYS = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST = re.compile(r"(?P<name>\[[^\[\]]*\]|[^\[\]:]*)(?::\d*)?")


def in_url(host: str) -> str:
    """Return how this machine writes a host that a server listens on into a URL."""
    return EVERYWHERE.get(host, f"[{host}]" if ":" in host else host)


def guarded(app: ASGIApp, host: str) -> ASGIApp:
    """Answer only to our own names, and bind browsers with headers unless the answer brings stricter ones.

    A hostile page can make its own name point to this machine, and then browsers take us for a part of that
    page (DNS rebinding); but they tell us the name. Who listens on every address wants to be reached by names
    we cannot know, so there every name will do.
    """
    names = None if host in EVERYWHERE else ALWAYS | {in_url(host).lower()}

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in HEADERS.items() if name not in present),
                ]
            await send(message)

        asked = "" if scope["type"] == "lifespan" else Headers(scope=scope).get("host", "")
        if scope["type"] == "lifespan" or names is None or _name(asked) in names:
            await app(scope, receive, send_guarded)
            return
        await _refusal(asked)(scope, receive, send_guarded)
        # Until it has closed, uvicorn takes a refused WebSocket handshake for a forgotten one.
        await asyncio.sleep(0)

    return guard


def _name(asked: str) -> str:
    """Return a Host header's name without its port; empty for what is neither."""
    match = HOST.fullmatch(asked)
    return match["name"].lower() if match else ""


def _refusal(asked: str) -> JSONResponse:
    reason = (
        f"this sandbox does not answer to the name {asked[:80]!r}; call it localhost or 127.0.0.1, "
        "or start it with --host 0.0.0.0 to open it to everyone by any name"
    )
    return JSONResponse({"error": reason}, 421)
