"""The sandbox as a stage of the contract suite, with the habits of one kind of server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bot.networks.mastodon import Mastodon
from bot.sandbox.dialects import DIALECTS
from tests.contract import Seen, Stage, Trouble, photo
from tests.sandbox import Network as Sandbox
from tests.sandbox import client, join, sandbox

FAULTS: dict[Trouble, tuple[str, dict[str, Any]]] = {
    "reading_limited": ("GET /api/v1/notifications", {"kind": "rate_limited", "seconds": 2}),
    "reading_broken": ("GET /api/v1/notifications", {"kind": "server_error"}),
    "posting_limited": ("POST /api/v1/statuses", {"kind": "rate_limited", "seconds": 2}),
    "posting_broken": ("POST /api/v1/statuses", {"kind": "server_error"}),
    "answer_lost": ("POST /api/v1/statuses", {"kind": "dropped_answer"}),
    "stream_closes": ("GET /api/v1/streaming", {"kind": "stream_closes"}),
}


class SandboxStage:
    """The sandbox, with the habits of one kind of server."""

    troubles = frozenset(FAULTS)
    features = frozenset({"private", "warnings", "quotes", "pictures", "deletions"})

    def __init__(self, dialect: str, network: Sandbox) -> None:
        self.name = dialect
        self.network = network
        self.streams = DIALECTS[dialect].streams
        self.keeps_keys = DIALECTS[dialect].keeps_keys
        self.people = {name: join(network, name) for name in ("ann", "bob")}
        self.authors: dict[str, httpx.Client] = {}

    def bot(self) -> Mastodon:
        return Mastodon.login(self.network.url, self.network.token)

    def stranger(self) -> Mastodon:
        return Mastodon.login(self.network.url, "wrong")

    def mention(self, text: str = "look", photos: int = 0, **options: Any) -> str:
        return self._post("ann", f"@deepselfie {text}", photos, **options)

    def post(self, text: str = "hello", photos: int = 0, **options: Any) -> str:
        return self._post("bob", text, photos, **options)

    def delete(self, post: str) -> None:
        self.authors[post].delete(f"/api/v1/statuses/{post}").raise_for_status()

    def replies(self, post: str) -> list[Seen]:
        answer = self.people["ann"].get(f"/api/v1/statuses/{post}/context").raise_for_status().json()
        return [
            Seen(
                status["id"],
                status["content"],
                tuple(media["description"] for media in status["media_attachments"]),
                status["visibility"],
                status["spoiler_text"],
            )
            for status in answer["descendants"]
            if status["in_reply_to_id"] == post and status["account"]["username"] == "deepselfie"
        ]

    @contextmanager
    def trouble(self, trouble: Trouble) -> Iterator[None]:
        endpoint, fault = FAULTS[trouble]
        with client(self.network.url, self.network.token) as controls:
            body = {"faults": [{"endpoint": endpoint, **fault}]}
            controls.put("/sandbox/faults", json=body).raise_for_status()
            try:
                yield
            finally:
                controls.delete("/sandbox/faults").raise_for_status()

    def _post(self, author: str, text: str, photos: int, **options: Any) -> str:
        person = self.people[author]
        body: dict[str, Any] = {
            "status": text,
            "media_ids": [self._upload(person) for _ in range(photos)],
            "visibility": "direct" if options.get("private") else "public",
            "spoiler_text": options.get("warning", ""),
            "in_reply_to_id": options.get("reply_to"),
            "quoted_status_id": options.get("quotes"),
        }
        post = str(person.post("/api/v1/statuses", json=body).raise_for_status().json()["id"])
        self.authors[post] = person
        return post

    @staticmethod
    def _upload(person: httpx.Client) -> str:
        files = {"file": ("photo.png", photo(), "image/png")}
        return str(person.post("/api/v2/media", files=files).raise_for_status().json()["id"])


@contextmanager
def sandbox_stage(directory: Path, dialect: str) -> Iterator[Stage]:
    with sandbox(directory, calls=10**9, dialect=dialect) as network:
        stage = SandboxStage(dialect, network)
        yield stage
        for person in stage.people.values():
            person.close()
