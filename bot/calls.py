"""One HTTP call with JSON in its answer, for what an operator does now and then; adapters have libraries."""

from __future__ import annotations

import json as json_format
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

# GoToSocial answers 418 to an empty User-Agent.
USER_AGENT = "deepselfie (a bot that judges photos)"
TIMEOUT_SECONDS = 10
MAX_BYTES = 1 << 20

_POOL = urllib3.PoolManager(retries=False, timeout=TIMEOUT_SECONDS)


class CallFailed(Exception):
    """Nobody answered; the message says who should have, and why not. No secret is in it."""


@dataclass(frozen=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: dict[str, Any] = field(repr=False)
    """The JSON object that came; empty for anything else."""

    @property
    def ok(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.status < 300

    @property
    def reason(self) -> str:
        """Why not, on one line: the status, and the server's own words."""
        if 300 <= self.status < 400:
            return f"{self.status}, it lives at {self.headers.get('Location', 'another address')}"
        # Mastodon and OAuth, Bluesky, X.
        names = ("error_description", "message", "detail", "title", "error")
        words = next((self.body[name] for name in names if isinstance(self.body.get(name), str)), "")
        return f"{self.status} {' '.join(words.split())[:200] or _phrase(self.status)}".strip()


def call(
    method: str,
    url: str,
    authorization: str = "",
    *,
    form: Mapping[str, str] | None = None,
    json: Mapping[str, Any] | None = None,
) -> Answer:
    """Make one call; at the most one of `form` and `json` is sent.

    Args:
        method: GET, POST and so on.
        url: The whole address.
        authorization: The header of that name, such as `Bearer TOKEN`.
        form: What to send as a form.
        json: What to send as a JSON object.

    Raises:
        CallFailed: No answer came.
    """
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    body = None
    if form is not None:
        body, headers["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
    if json is not None:
        body, headers["Content-Type"] = json_format.dumps(json), "application/json"
    try:
        # No redirects: a secret is for the server that it was made for.
        with _POOL.request(
            method, url, body=body, headers=headers, redirect=False, preload_content=False
        ) as response:
            return Answer(response.status, response.headers, _object(response.read(MAX_BYTES)))
    except (HTTPError, ValueError) as error:
        place = urlsplit(url)
        raise CallFailed(f"{place.scheme}://{place.netloc} does not answer ({_words(error)})") from None


def bearer(token: str) -> str:
    """The header that carries a token."""
    return f"Bearer {token}"


def _object(content: bytes) -> dict[str, Any]:
    try:
        parsed = json_format.loads(content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _words(error: Exception) -> str:
    """Why, without the pool and the address that urllib3 puts in front."""
    if isinstance(error, ValueError):
        return type(error).__name__
    words = str(error).rpartition(": ")[2].rpartition("] ")[2]
    # What is left of "(… [Errno -2] Name or service not known)".
    return words if "(" in words else words.rstrip(")")
