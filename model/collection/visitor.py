"""A polite guest on other people's servers: one call at a time, by their limits and robots.txt."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

import httpx

from model.collection.limits import pause_due, pause_wanted

NAME = "deepselfie"
TIMEOUT_SECONDS = 20
TRIES = 5
MOST_SECONDS = 60
"""That one answer may take."""
LONGEST_PAUSE = 3600
"""In seconds; a server that asks for a longer one wants us to go."""
RETRIED = {429, 500, 502, 503, 504}

Query = Mapping[str, str | int | list[str]]


class CollectionError(Exception):
    """Why nothing more can be collected, as a sentence."""


class Refused(CollectionError):
    """A server said no to one call.

    Args:
        message: Which call, and what was said.
        status: The HTTP status.
        kind: The error's name, on networks that name theirs.
    """

    def __init__(self, message: str, status: int, kind: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind


@dataclass(frozen=True)
class Manners:
    """What the operator wants a guest to be like."""

    contact: str
    """Where the owners of servers reach the operator: a URL or an e-mail address."""
    pause: float = 1.0
    """Seconds from one call to the next."""
    megabytes: float = 10
    """Larger photos are left where they are."""


@dataclass(frozen=True)
class Answer:
    """What an API said."""

    json: Any
    link: str
    """The Link header, which leads to other pages."""


class Visitor:
    """Makes calls, one after the other.

    Args:
        manners: What the operator wants.
        wait: Sleeps for so many seconds; the reason may be shown.
    """

    def __init__(self, manners: Manners, wait: Callable[[float, str], None] | None = None) -> None:
        self._manners = manners
        self._wait = wait or (lambda seconds, _: time.sleep(seconds))
        self._free_at = 0.0
        self._robots: dict[str, RobotFileParser] = {}
        agent = f"{NAME}/{version('deepselfie')} (collects public posts to train a model; {manners.contact})"
        # Photos are asked for as they are: what is counted is what comes.
        headers = {"User-Agent": agent, "Accept-Encoding": "identity"}
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False)

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def ask(self, url: str, query: Query | None = None, token: str = "") -> Answer:
        """Read something from an API.

        Raises:
            Refused: The server says no, or says too much.
            CollectionError: It cannot be reached, wants us to go, or speaks no JSON.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return _understood(self._persistent("GET", url, params=query, headers=headers))

    def tell(self, url: str, body: Mapping[str, str]) -> Answer:
        """Send something to an API; raises as `ask` does."""
        return _understood(self._persistent("POST", url, json=body))

    def photo(self, url: str) -> bytes:
        """Fetch a photo; raises as `ask` does."""
        return self._persistent("GET", url).content

    def may(self, url: str) -> bool:
        """Whether robots.txt of a URL's server lets us go there."""
        return self.robots(url).can_fetch(NAME, url)

    def robots(self, url: str) -> RobotFileParser:
        """What a server's robots.txt says; no robots.txt allows all."""
        place = urlsplit(url)
        host = f"{place.scheme}://{place.netloc}"
        if host not in self._robots:
            rules = RobotFileParser()
            try:
                rules.parse(self._persistent("GET", f"{host}/robots.txt").text.splitlines())
            except Refused:
                rules.parse([])
            self._robots[host] = rules
        return self._robots[host]

    def _persistent(self, method: str, url: str, **what: Any) -> httpx.Response:
        trouble, pause = "", 0.0
        for attempt in range(TRIES):
            if trouble:
                self._rest(pause, f"{_host(url)}: {trouble}")
            self._wait_until_free()
            pause = 2**attempt
            try:
                answer = self._call(method, url, **what)
            except httpx.InvalidURL as error:
                raise Refused(f"{url[:80]!r} is no URL: {error}", 400) from None
            except httpx.TransportError as error:
                trouble = str(error) or type(error).__name__
                continue
            if answer.status_code not in RETRIED:
                if due := pause_due(answer):
                    self._rest(due, f"{_host(url)}: its limit is near")
                return _accepted(answer, url)
            trouble = f"status {answer.status_code}"
            pause = pause_wanted(answer) or pause
        raise CollectionError(
            f"{_host(url)} gave no answer in {TRIES} tries ({trouble}); "
            "what was collected is kept: run this again later to go on"
        )

    def _call(self, method: str, url: str, **what: Any) -> httpx.Response:
        """One call, its answer read within a number of bytes and seconds, whatever the server does."""
        deadline = time.monotonic() + MOST_SECONDS
        body = bytearray()
        with self._client.stream(method, url, **what) as answer:
            for part in answer.iter_raw():
                body += part
                if len(body) > self._manners.megabytes * 1_000_000:
                    limit = f"{self._manners.megabytes:g} MB"
                    raise Refused(f"{url} has more than {limit}; raise --megabytes to take it", 200)
                if time.monotonic() > deadline:
                    raise Refused(f"{url} takes longer than {MOST_SECONDS} s", 200)
            # Nothing is to be unpacked, whatever it says: what was counted is what there is.
            headers = [(name, text) for name, text in answer.headers.items() if name != "content-encoding"]
            return httpx.Response(
                answer.status_code, headers=headers, content=bytes(body), request=answer.request
            )

    def _wait_until_free(self) -> None:
        now = time.monotonic()
        if self._free_at > now:
            self._wait(self._free_at - now, "")
        self._free_at = max(now, self._free_at) + self._manners.pause

    def _rest(self, seconds: float, why: str) -> None:
        if seconds > LONGEST_PAUSE:
            raise CollectionError(
                f"{why}, it wants a pause of {seconds / 60:.0f} minutes; "
                "what was collected is kept: run this again after that"
            )
        self._wait(seconds, why)


def _understood(answer: httpx.Response) -> Answer:
    try:
        return Answer(answer.json(), answer.headers.get("Link", ""))
    except ValueError:
        raise CollectionError(
            f"{answer.url} is no JSON but {answer.text[:80]!r}; is --server right?"
        ) from None


def _accepted(answer: httpx.Response, url: str) -> httpx.Response:
    if answer.status_code == 200:
        return answer
    kind, words = _said(answer)
    detail = f" ({words})" if words else ""
    raise Refused(f"{url} answers {answer.status_code}{detail}", answer.status_code, kind)


def _said(answer: httpx.Response) -> tuple[str, str]:
    """An error's name and words, where it has them."""
    try:
        said: Any = answer.json()
    except ValueError:
        return "", ""
    if not isinstance(said, dict):
        return "", ""
    kind = str(said.get("error", ""))
    return kind, str(said.get("message") or kind)[:200]


def _host(url: str) -> str:
    return urlsplit(url).netloc
