"""A real HTTP server that answers with JSON, and remembers what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One call."""

    call: str
    """Method and path, without the query."""
    authorization: str
    body: Any
    """The JSON that came along; None without any."""


@dataclass
class Api:
    """A server: what it answers to `METHOD /path`, anything else with a 404."""

    answers: dict[str, tuple[int, Any]]
    headers: Mapping[str, str] = field(default_factory=dict)
    """What comes with every answer, a Date of its own too."""
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def bodies(self, call: str) -> list[Any]:
        """What came along with some calls."""
        return [asked.body for asked in self.asked if asked.call == call]


@contextmanager
def serving(api: Api) -> Iterator[Api]:
    """Run it; its address is in `url`."""

    class Requests(BaseHTTPRequestHandler):
        def answer(self) -> None:
            call = f"{self.command} {self.path.partition('?')[0]}"
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            is_json = self.headers.get("Content-Type") == "application/json"
            body = json.loads(content) if is_json else None
            api.asked.append(Asked(call, self.headers.get("Authorization") or "", body))
            status, answer = api.answers.get(call, (404, {"error": "not found"}))
            # Not `send_response`, which adds a Date itself.
            self.send_response_only(status)
            for name, value in ({"Date": self.date_time_string()} | dict(api.headers)).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Requests) as server:
        api.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield api
        finally:
            server.shutdown()
