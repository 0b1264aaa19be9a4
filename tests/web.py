"""Real web servers for tests, each on a port of its own: well-bred ones, and some that say what they like."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Handler = Callable[[BaseHTTPRequestHandler], None]
Talk = Callable[[socket.socket], None]


@contextmanager
def web(pages: dict[str, Handler]) -> Iterator[str]:
    """Serve the pages, by path, and give the server's address; any other path is a 404."""

    class Requests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages.get(self.path, status(404))(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128  # the default, 5, makes a crowd wait for a second

    with Server(("127.0.0.1", 0), Requests) as server:
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


def drips(count: int, every: float) -> Handler:
    """That many bytes, one every so many seconds: no timeout between two of them ever fires."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.end_headers()
        with suppress(OSError):
            for _ in range(count):
                request.wfile.write(b"x")
                time.sleep(every)

    return answer


@contextmanager
def talker(talk: Talk, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve each connection with a talk, in a thread, until the other side hangs up, and give the port."""

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            if tls:
                connection = tls.wrap_socket(connection, server_side=True)
            with connection:
                talk(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def heard(connection: socket.socket) -> bytes:
    """A whole request; nothing once the other side has hung up."""
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        part = connection.recv(65536)
        if not part:
            return b""
        request += part
    return request


def silence(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def mute_after(beginning: bytes) -> Talk:
    """The beginning of an answer, and silence."""

    def talk(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(beginning)
        silence(connection)

    return talk


def saying(answer: bytes) -> Talk:
    """To every request, the same."""

    def talk(connection: socket.socket) -> None:
        while heard(connection):
            connection.sendall(answer)

    return talk


def endless(beginning: bytes, part: bytes, pause: float = 0) -> Talk:
    """A beginning, and then a part again and again, as fast as it is taken or with a pause after each."""

    def talk(connection: socket.socket) -> None:
        heard(connection)
        connection.sendall(beginning)
        parts = part if pause else part * (65536 // len(part) + 1)
        while True:
            connection.sendall(parts)
            time.sleep(pause)

    return talk


def ok(body: bytes, kind: str = "image/jpeg") -> bytes:
    """A response, word for word."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def moved(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
