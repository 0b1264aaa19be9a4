"""The sandbox as a whole: an app, and a server that runs it until it is told to stop."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from bot.sandbox.accounts import ensure_bot
from bot.sandbox.call import Sandbox
from bot.sandbox.dialects import DIALECTS
from bot.sandbox.endpoints import FAULTY, routes
from bot.sandbox.errors import DataInUse, PortUnavailable
from bot.sandbox.faults import Faults
from bot.sandbox.guard import guarded, in_url
from bot.sandbox.hub import Hub
from bot.sandbox.limits import Limiter
from bot.sandbox.store import Store
from bot.sandbox.wire import noting
from bot.settings import read

logger = logging.getLogger(__name__)
PAGE = Path(__file__).parent / "page"
CALLS = 7500  # calls a person may make in five minutes
HEARTBEAT = 20.0  # seconds between WebSocket pings
KEEP_ALIVE = 75  # seconds an idle connection stays open, longer than clients pause between polls
GOODBYE = 1  # seconds open requests get when the server stops


def create_app(
    data: Path,
    *,
    token: str | None = None,
    calls: int = CALLS,
    host: str = "127.0.0.1",
    dialect: str = "mastodon",
) -> ASGIApp:
    """Build the sandbox; `serve` runs it.

    Args:
        data: Directory that holds everything; created when absent, reopened when not.
        token: The bot's access token. None: the one `bot_token` finds.
        calls: API calls a person may make in five minutes.
        host: The address it is served on; by other names than this machine's own it is not reached.
        dialect: Which server's habits it has, one of DIALECTS.
    """
    (data / "media").mkdir(parents=True, exist_ok=True)
    store = Store(data / "sandbox.sqlite3")
    ensure_bot(store, token or bot_token(data))
    habits = DIALECTS[dialect]
    hub, faults, limiter = Hub(habits.ids), Faults(FAULTY, habits), Limiter(calls, habits)
    sandbox = Sandbox(data, store, hub, faults, limiter, habits)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        store.close()

    app = Starlette(
        routes=[
            *routes(sandbox),
            Mount("/page", StaticFiles(directory=PAGE)),
            # Addresses of people and posts, as statuses carry them, open the one page there is.
            *(Route(path, _page) for path in ("/", "/@{name}", "/@{name}/{id}", "/tags/{tag}")),
        ],
        exception_handlers={HTTPException: refuse, Exception: fail},
        lifespan=lifespan,
    )
    return guarded(app, host)


def bot_token(data: Path) -> str:
    """Return the bot's token, and keep one that had to be made up in DATA/bot.token, for its owner's eyes.

    $SANDBOX_TOKEN comes first, then what is in the file that $SANDBOX_TOKEN_FILE names, then DATA/bot.token.

    Raises:
        SettingsError: $SANDBOX_TOKEN_FILE cannot be read.
    """
    given = read("SANDBOX_TOKEN", os.environ)
    if given:
        return given
    file = data / "bot.token"
    if not file.exists():
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(secrets.token_urlsafe(32) + "\n")
    return file.read_text().strip()


async def _page(_: Request) -> Response:
    return FileResponse(PAGE / "index.html", headers={"Cache-Control": "no-cache"})


async def refuse(_: Request, error: Exception) -> Response:
    """Answer in Mastodon's form what Starlette refuses: no such address, no such method, a broken form."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def fail(_: Request, __: Exception) -> Response:
    """Answer a bug of ours; the server logs its traceback."""
    return JSONResponse({"error": "the sandbox failed at this; its log says why"}, 500)


def serve(
    host: str,
    port: int,
    data: Path,
    *,
    ready: Callable[[str], None] | None = None,
    **options: Any,
) -> None:
    """Run the sandbox until SIGTERM, SIGINT or, in another thread, until the process ends.

    Once it listens, its address is in DATA/url, and there no longer when it was stopped cleanly.

    Args:
        host: Address to listen on, such as 127.0.0.1; with 0.0.0.0 or ::, any name reaches it.
        port: Port; 0 picks a free one.
        data: Directory that holds everything.
        options: `calls` and `dialect`, as for `create_app`.
        ready: Called once with the address, such as http://127.0.0.1:8080, as soon as it listens.

    Raises:
        PortUnavailable: Most often somebody else listens there; the sentence says what to do.
        DataInUse: Another sandbox runs on the same data.
        SettingsError: $SANDBOX_TOKEN_FILE cannot be read.
    """
    data.mkdir(parents=True, exist_ok=True)
    with alone(data), listening(host, port) as opened:
        server = _server(create_app(data, host=host, **options))
        with ended_by_signals(server):
            url = f"http://{in_url(host)}:{opened.getsockname()[1]}"
            write_whole(data / "url", url)
            logger.info("the sandbox listens on %s", url)
            if ready:
                ready(url)
            server.run(sockets=[opened])
        (data / "url").unlink(missing_ok=True)


def _server(app: ASGIApp) -> uvicorn.Server:
    # Starlette and uvicorn spell the same ASGI types differently, hence the casts.
    config = uvicorn.Config(
        cast(Any, app),
        log_config=None,
        log_level="warning",  # below, uvicorn logs the WebSocket's query, which may hold a token
        access_log=False,
        proxy_headers=False,  # added below, inside of what `wire` needs to see
        ws="websockets-sansio",  # `wire` knows how to make this one mute
        ws_ping_interval=HEARTBEAT,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GOODBYE,
    )
    server = uvicorn.Server(config)
    behind_proxy = cast(ASGIApp, ProxyHeadersMiddleware(cast(Any, app)))
    config.app = cast(Any, noting(behind_proxy, server.server_state.connections))
    return server


@contextlib.contextmanager
def alone(data: Path) -> Iterator[None]:
    """Keep other sandboxes off this data while inside; the lock goes with the process, however that ends."""
    with (data / "lock").open("a+") as lock:  # "w" would empty the file, though it is another's
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise DataInUse(data, lock.read().strip()) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Open the port; connections queue from here on, before the server takes them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only with TCP named does asyncio switch Nagle's algorithm off; without, an answer may wait 40 ms.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((host, port))
        except OSError as error:
            raise PortUnavailable(host, port, error) from error
        opened.listen(2048)
        yield opened


def write_whole(file: Path, text: str) -> None:
    """Write a file such that nobody ever reads half of it."""
    draft = file.with_suffix(".part")
    draft.write_text(text)
    draft.replace(file)


@contextlib.contextmanager
def ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let `serve` return after a signal, also one that comes before uvicorn listens for it.

    Once it has stopped, uvicorn raises the signal again: then this changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
