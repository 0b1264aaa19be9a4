"""A real web server for tests, on a port of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Handler = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def web(pages: dict[str, Handler]) -> Iterator[str]:
    """Serve the pages, by path, and give the server's address; any other path is a 404."""

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.get(self.path, status(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def file(body: bytes, kind: str = "image/jpeg", **headers: str) -> Handler:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", kind)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def status(code: int, **headers: str) -> Handler:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()

    return answer


def drip(request: BaseHTTPRequestHandler) -> None:
    """A byte every 20 ms: no timeout between two bytes ever fires."""
    request.send_response(200)
    request.send_header("Content-Type", "image/jpeg")
    request.end_headers()
    for _ in range(200):
        try:
            request.wfile.write(b"x")
        except OSError:
            return
        time.sleep(0.02)
