"""A server between the bot and a network, that passes everything on, and can lose answers or give its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

import httpx

# What concerns one connection, not what it carries.
HOP_BY_HOP = {"connection", "content-encoding", "content-length", "host", "keep-alive", "transfer-encoding"}


class Middleman:
    """What went through, and what is to go wrong.

    Args:
        upstream: The network.
    """

    def __init__(self, upstream: str) -> None:
        self.url = ""
        self.upstream = httpx.Client(base_url=upstream, trust_env=False, timeout=15)
        self.calls: list[str] = []
        """The last part of each path, in the order of their coming."""
        self.lost: list[str] = []
        """Calls that are passed on and of which the answer is lost, once each."""
        self.own: list[tuple[str, httpx.Response]] = []
        """Calls that are answered here, once each, and with what."""

    def answer(self, call: str) -> httpx.Response | None:
        """An answer of its own to a call, if it is to have one."""
        for place, (name, answer) in enumerate(self.own):
            if name == call:
                del self.own[place]
                return answer
        return None

    def serve(self, call: str, ask: Callable[[], httpx.Response]) -> httpx.Response | None:
        """What a call gets; None if its answer is lost.

        Args:
            call: The last part of its path.
            ask: Passes it on, and returns what the network answers.
        """
        answer = self.answer(call) or ask()
        if call in self.lost:
            self.lost.remove(call)
            return None
        return answer


@contextmanager
def between(upstream: str) -> Iterator[Middleman]:
    """Stand between somebody and a network."""
    with standing(Middleman(upstream), 0) as middleman:
        yield middleman


M = TypeVar("M", bound=Middleman)


@contextmanager
def standing(middleman: M, port: int) -> Iterator[M]:
    """Have a middleman take calls at a port; 0 is any that is free."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._pass_on()

        def do_POST(self) -> None:
            self._pass_on()

        def log_message(self, *_: object) -> None:
            """Nothing is to be said."""

        def _pass_on(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = self.path.partition("?")[0].rpartition("/")[2]
            middleman.calls.append(call)
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            answer = middleman.serve(
                call,
                lambda: middleman.upstream.request(self.command, self.path, content=content, headers=headers),
            )
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        middleman.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield middleman
        finally:
            server.shutdown()
            thread.join()
            middleman.upstream.close()
