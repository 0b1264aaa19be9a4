"""A person on the sandbox network, for the demo, tests and benchmarks: posts photos, waits for replies."""

from __future__ import annotations

import json
import mimetypes
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import mastodon

LOOK_SECONDS = 0.02
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Reply:
    """What came back."""

    text: str
    url: str
    status: dict[str, Any]
    """As the network's API gives it."""


class Person:
    """One account, logged in.

    Args:
        url: The network's address.
        name: The account's name; nobody may have it yet.
        bot: The account says of itself that nobody sits behind it.
        profile: A `note`, and a `created_at` that lies back.
    """

    def __init__(self, url: str, name: str, *, bot: bool = False, **profile: str) -> None:
        body = json.dumps({"username": name, "bot": bot, **profile}).encode()
        request = Request(f"{url}/sandbox/people", body, {"Content-Type": "application/json"})  # noqa: S310
        # Whatever proxy the environment names, this network is not behind it.
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT_SECONDS) as answer:
            token = json.load(answer)["access_token"]
        self.name = name
        self.client = mastodon.Mastodon(
            api_base_url=url,
            access_token=token,
            ratelimit_method="throw",
            request_timeout=TIMEOUT_SECONDS,
            # Without both, Mastodon.py asks for the server's version before an upload, or takes it for 0.0.
            mastodon_version="4.4.0",
            version_check_mode="created",
        )
        self.client.session.trust_env = False

    def upload(self, photo: Path) -> str:
        """Upload a file, and return its id once the network has processed it."""
        media = self.client.media_post(photo.read_bytes(), _mime_type(photo))
        deadline = time.monotonic() + TIMEOUT_SECONDS
        # Mastodon.py's own waiting looks every five seconds.
        while not media["url"] and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
            media = self.client.media(media["id"])
        return str(media["id"])

    def post(self, text: str, media: Sequence[str] = (), **options: Any) -> str:
        """Post a status and return its id."""
        return str(self.client.status_post(text, media_ids=list(media), **options)["id"])

    def replies(self, post: str) -> list[Reply]:
        """What stands under a post by now."""
        statuses = self.client.status_context(post)["descendants"]
        return [Reply(_Text.of(status["content"]), str(status["url"]), dict(status)) for status in statuses]

    def wait_for_reply(self, post: str, seconds: float) -> Reply | None:
        """The first reply to a post, as soon as it is there; None if none comes in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if replies := self.replies(post):
                return replies[0]
            time.sleep(LOOK_SECONDS)
        return None


def _mime_type(photo: Path) -> str:
    return mimetypes.guess_type(photo.name)[0] or "image/jpeg"


class _Text(HTMLParser):
    """A status's HTML as plain text."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[str] = []

    @classmethod
    def of(cls, content: str) -> str:
        parser = cls()
        parser.feed(content)
        parser.close()
        return "".join(parser._parts).strip()

    def handle_data(self, data: str) -> None:
        self._parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "br":
            self._parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "p":
            self._parts.append("\n\n")
