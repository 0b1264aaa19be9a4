"""What a process tells by HTTP to whoever watches over it: /metrics, /healthz and /readyz.

Healthy is a process whose main loop turns. Redis or a network being away does not make it ill: to start it
again would not bring them back. Ready is one that can do its work.
"""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics, make_wsgi_app
from redis import Redis, RedisError, ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry

from bot.logs import Log
from bot.settings import Settings, SettingsError

LOG = Log(__name__)

# Prometheus and Kubernetes have one connection each, for milliseconds. More than so many at a time, and the
# oldest has to go: whoever opens connections and says nothing must not keep them out, nor cost threads.
MOST_CONNECTIONS = 16
SILENT_CONNECTION_SECONDS = 5
# Whoever scrapes waits for ten seconds, kubelet for one.
REDIS_SECONDS = 0.8


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    ok: bool
    value: object
    """What was found, for JSON."""


Checks = Callable[[], Mapping[str, Check]]


class Pulse:
    """A loop's sign of life, for checks.

    Args:
        within: Seconds that one turn may take at the most.
    """

    def __init__(self, within: float) -> None:
        self._within = within
        self._last = time.monotonic()

    def turn(self) -> None:
        """Note that the loop turns."""
        self._last = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long ago it last turned."""
        return time.monotonic() - self._last

    def check(self) -> Check:
        """Whether it has turned lately; the value: how many seconds ago, and how many it may be."""
        seconds = round(self.seconds, 1)
        return Check(seconds <= self._within, {"seconds": seconds, "limit": self._within})


def start(
    settings: Settings, *, live: Checks, ready: Checks, registry: CollectorRegistry = REGISTRY
) -> tuple[str, int] | None:
    """Answer in threads, for as long as this process lives, if METRICS_PORT is set.

    Args:
        settings: Where.
        live: What has to be so for the process to be healthy.
        ready: What has to be so for it to do its work.
        registry: The metrics.

    Returns:
        Address and port; None if nothing is to be told.

    Raises:
        SettingsError: The port cannot be opened.
    """
    if not settings.metrics_port:
        return None
    host, port = settings.metrics_host, settings.metrics_port
    try:
        server = _Server(host, port)
    except OSError as error:
        raise SettingsError(
            f"METRICS_PORT is {port}, and {host}:{port} cannot be opened ({error.strerror or error}); "
            "choose another METRICS_PORT or METRICS_HOST, or end what uses it"
        ) from None
    # When each counter began: Prometheus finds out by itself, and would keep as many series again.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    server.set_app(_app({"/healthz": live, "/readyz": ready}, registry))
    threading.Thread(target=server.serve_forever, name="monitor", daemon=True).start()
    return host, port


def impatient(url: str) -> Redis:
    """A connection to Redis for looking on: it says soon that there is none."""
    return Redis.from_url(
        url,
        socket_connect_timeout=REDIS_SECONDS,
        socket_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def redis_check(redis: Redis) -> Check:
    """Whether Redis answers, and would take something."""
    try:
        redis.ping()
    except ResponseError as error:
        # As it does when its disk takes nothing.
        return Check(ok=False, value=f"refuses ({error})")
    except RedisError as error:
        return Check(ok=False, value=f"does not answer ({type(error).__name__})")
    return Check(ok=True, value="answers")


def _app(checks: Mapping[str, Checks], registry: CollectorRegistry) -> Any:
    """The WSGI application."""
    metrics = make_wsgi_app(registry)
    paths = ["/metrics", *checks]

    def say(start_response: Any, status: HTTPStatus, body: object, *headers: tuple[str, str]) -> list[bytes]:
        kind = ("Content-Type", "application/json")
        start_response(f"{status.value} {status.phrase}", [kind, *headers])
        return [json.dumps(body).encode() + b"\n"]

    def app(environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path not in paths:
            return say(start_response, HTTPStatus.NOT_FOUND, {"error": f"there are {', '.join(paths)}"})
        if environ["REQUEST_METHOD"] != "GET":
            allow = ("Allow", "GET")
            return say(start_response, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET is"}, allow)
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        found = checks[path]()
        is_ok = all(check.ok for check in found.values())
        body = {"ok": is_ok, "checks": {name: asdict(check) for name, check in found.items()}}
        return say(start_response, HTTPStatus.OK if is_ok else HTTPStatus.SERVICE_UNAVAILABLE, body)

    def noted(environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except Exception:
            LOG.exception("not told", path=environ["PATH_INFO"])
            raise

    return noted


class _Handler(WSGIRequestHandler):
    timeout = SILENT_CONNECTION_SECONDS

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """What is asked every few seconds is no event."""

    def get_stderr(self) -> io.StringIO:
        """Nor is it one when somebody hangs up in the middle."""
        return io.StringIO()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int) -> None:
        self._open: deque[socket.socket] = deque()
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """As the base does, but without asking the DNS for this machine's name."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        if len(self._open) > MOST_CONNECTIONS:
            # Its thread wakes up, and closes it.
            with suppress(OSError, IndexError):
                self._open.popleft().shutdown(socket.SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with suppress(ValueError):
            self._open.remove(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is none of our business."""
