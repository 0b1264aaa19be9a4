"""A Mastodon server of one tag: real HTTP, posts that tests write, and what is to go wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image

START = datetime(2026, 1, 1, tzinfo=UTC)
BROKEN = 0
"""The status of an answer that ends in its middle."""


@dataclass(frozen=True)
class Fault:
    """What a call gets once, in place of its answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)


class Instance:
    """The server's posts, and who asked for what."""

    def __init__(self) -> None:
        self.url = ""
        self.statuses: list[dict[str, Any]] = []
        """Newest first."""
        self.photos: dict[str, bytes] = {}
        self.rules = ["Be kind."]
        self.robots = ""
        self.headers: dict[str, str] = {}
        """That every answer of the API has."""
        self.faults: list[tuple[str, Fault]] = []
        """The beginning of a path, and what its next call gets."""
        self.calls: list[str] = []
        self.agents: set[str] = set()
        self.reads_many = True
        """Whether several posts can be read at once, as since Mastodon 4.3."""

    def post(self, author: str = "ann", *, account: dict[str, Any] | None = None, **changes: Any) -> str:
        """Post a photo of one colour, and give the post's id."""
        number = len(self.photos) + 1
        id_ = str(1000 + number)
        self.photos[f"{id_}.jpg"] = photo(number)
        status = {
            "id": id_,
            "url": f"{self.url}/@{author}/{id_}",
            "created_at": (START + timedelta(hours=number)).isoformat(),
            "visibility": "public",
            "sensitive": False,
            "spoiler_text": "",
            "content": "<p>me</p>",
            "language": "en",
            "favourites_count": number,
            "account": {"acct": author, "note": "", "fields": [], "followers_count": 200, **(account or {})},
            "media_attachments": [{"type": "image", "url": f"{self.url}/media/{id_}.jpg"}],
            "tags": [{"name": "selfie"}, {"name": "me"}],
        }
        self.statuses.insert(0, status | changes)
        return id_

    def delete(self, id_: str) -> None:
        """Delete a post."""
        self.statuses = [status for status in self.statuses if status["id"] != id_]

    def status(self, id_: str) -> dict[str, Any] | None:
        """A post, if it is there."""
        return next((status for status in self.statuses if status["id"] == id_), None)

    def read(self, kind: str) -> list[str]:
        """The calls whose paths begin so."""
        return [call for call in self.calls if call.startswith(kind)]

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[bytes, dict[str, str]] | None:
        """What a call gets: a body and headers; None for 404."""
        if path.startswith("/media/"):
            body = self.photos.get(path.removeprefix("/media/"))
            return (body, {"Content-Type": "image/jpeg"}) if body else None
        if path == "/robots.txt":
            return self.robots.encode(), {"Content-Type": "text/plain"}
        found, headers = self._api(path, query)
        return None if found is None else (json.dumps(found).encode(), headers | self.headers)

    def _api(self, path: str, query: dict[str, list[str]]) -> tuple[Any, dict[str, str]]:
        if path == "/api/v2/instance":
            return {"domain": "example.social", "rules": [{"text": rule} for rule in self.rules]}, {}
        if path == "/api/v1/timelines/tag/selfie":
            return self._page(query)
        if path == "/api/v1/statuses" and self.reads_many:
            return [status for status in self.statuses if status["id"] in query["id[]"]], {}
        return self.status(path.removeprefix("/api/v1/statuses/")), {}

    def _page(self, query: dict[str, list[str]]) -> tuple[list[dict[str, Any]], dict[str, str]]:
        below = int(query.get("max_id", ["999999"])[0])
        page = [status for status in self.statuses if int(status["id"]) < below][: int(query["limit"][0])]
        if not page:
            return page, {}
        older = f"{self.url}/api/v1/timelines/tag/selfie?limit=40&max_id={page[-1]['id']}"
        return page, {"Link": f'<{older}>; rel="next", <{self.url}/?min_id={page[0]["id"]}>; rel="prev"'}

    def fault(self, path: str) -> Fault | None:
        """What is to go wrong with a call."""
        for place, (beginning, fault) in enumerate(self.faults):
            if path.startswith(beginning):
                del self.faults[place]
                return fault
        return None


@contextmanager
def instance() -> Iterator[Instance]:
    """Run a server."""
    ours = Instance()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            ours.calls.append(self.path)
            ours.agents.add(self.headers["User-Agent"])
            place = urlsplit(self.path)
            fault = ours.fault(place.path)
            answer = ours.answer(place.path, parse_qs(place.query))
            if fault and fault.status == BROKEN and answer:
                self.send(200, answer[0][: len(answer[0]) // 2], answer[1], length=len(answer[0]))
                self.close_connection = True
            elif fault:
                self.send(fault.status, b"{}", fault.headers)
            elif answer is None:
                self.send(404, b'{"error": "Record not found"}', {})
            else:
                self.send(200, *answer)

        def send(self, status: int, body: bytes, headers: dict[str, str], length: int | None = None) -> None:
            # Whoever has a clock of its own tells the time by it.
            (self.send_response_only if "Date" in headers else self.send_response)(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is to be said."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        ours.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield ours
        finally:
            server.shutdown()
            thread.join()


def photo(number: int) -> bytes:
    """A small photo, another one for each number."""
    file = BytesIO()
    Image.new("RGB", (24, 16), (number % 256, number // 256, 90)).save(file, "PNG")
    return file.getvalue()
