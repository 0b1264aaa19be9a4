"""X's filtered stream: what it is told to deliver, how it is read, and for how long it is left alone.

One connection at a time, a line an event, and an empty line every twenty seconds. It may end at any moment,
in the middle of a line too, deliver twice or out of order: the poller is what finds every mention.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Protocol

from requests import Response

from bot.logs import Log
from bot.networks.base import NetworkError
from bot.networks.x_client import TIMEOUT_SECONDS, Client
from bot.networks.x_errors import HttpError, transport_errors
from bot.networks.x_wire import FIELDS

LOG = Log(__name__)

RULES = "/2/tweets/search/stream/rules"
STREAM = "/2/tweets/search/stream"
TAG = "deepselfie"

# A sign of life comes every 20 seconds.
SILENCE_SECONDS = 30
MAX_EVENT_BYTES = 1 << 20
CHUNK_BYTES = 1 << 16

STABLE_SECONDS = 60
SHORTEST_PAUSE_SECONDS = 1.0

Kind = Literal["closed", "network", "http", "rate_limited"]


class Source(Protocol):
    """Where bytes come from, as they come; none at the end."""

    def read1(self, amount: int) -> bytes:
        """Some bytes."""


def keep_rules(client: Client, handle: str) -> None:
    """Make the stream deliver mentions of this handle, changing only rules with our tag.

    Raises:
        NetworkError: X does not take the rule.
    """
    wanted = f"@{handle} -is:retweet -from:{handle}"
    answer: dict[str, object] = {}
    # The second look verifies what the first has led to.
    for _ in range(2):
        rules = _rules(client)
        stale = [id_ for id_, value, tag in rules if tag == TAG and value != wanted]
        if stale:
            client.request("POST", RULES, json={"delete": {"ids": stale}})
        if any(value == wanted for _, value, _ in rules):
            return
        answer = client.request("POST", RULES, json={"add": [{"value": wanted, "tag": TAG}]}).json()
    raise HttpError(f"X does not take the rule {wanted!r}: {answer.get('errors')}", trouble="refused")


def _rules(client: Client) -> list[tuple[str, str, str]]:
    """Id, value and tag of every rule; X leaves out what is empty."""
    data = client.request("GET", RULES).json().get("data")
    rules = [rule for rule in data if isinstance(rule, dict)] if isinstance(data, list) else []
    return [(str(rule.get("id")), str(rule.get("value")), str(rule.get("tag"))) for rule in rules]


@contextmanager
def opened(
    client: Client, silence: float = SILENCE_SECONDS
) -> Iterator[tuple[Iterator[bytes], Callable[[], None]]]:
    """Open the stream, for as long as its lines are wanted: these, and what ends them from another thread.

    Args:
        client: Who opens it.
        silence: Seconds without a sign of life after which it counts as dead.

    Raises:
        NetworkError: It does not open, breaks, or falls silent.
    """
    params = {name: ",".join(values) for name, values in FIELDS.items()}
    response = client.send(
        "GET",
        STREAM,
        user_auth=False,
        params=params,
        stream=True,
        timeout=(TIMEOUT_SECONDS, silence),
        headers={"Accept-Encoding": "identity"},
    )
    with response:
        yield lines(response.raw), lambda: _hang_up(response)


def _hang_up(response: Response) -> None:
    # It may have ended by itself.
    with suppress(ValueError, RuntimeError, OSError):
        response.raw.shutdown()


def lines(source: Source) -> Iterator[bytes]:
    """Cut a stream into its lines, empty ones too. What is left at its end was not meant to be whole.

    Raises:
        NetworkError: The stream breaks, or a line is too long.
    """
    rest = b""
    while True:
        with transport_errors(f"GET {STREAM}", "GET"):
            chunk = source.read1(CHUNK_BYTES)
        if not chunk:
            return
        *whole, rest = (rest + chunk).split(b"\n")
        yield from map(_content, whole)
        if len(rest) > MAX_EVENT_BYTES:
            raise NetworkError(f"an event of the stream is longer than {MAX_EVENT_BYTES} bytes")


def _content(line: bytes) -> bytes:
    # X's playground sends server-sent events: "data: {…}", and ": keep-alive".
    line = line.strip()
    return b"" if line.startswith(b":") else line.removeprefix(b"data:").strip()


class Pacing:
    """How often the stream may be opened: never twice a second, and ever more seldom while it fails.

    X asks for pauses that grow by 250 ms up to 16 s after errors of the network, double from 5 s up to 320 s
    after those of HTTP, and double from a minute after a 429. A clean close is paced as well.
    """

    def __init__(self) -> None:
        self._failures: Counter[Kind] = Counter()
        self._began = -SHORTEST_PAUSE_SECONDS

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One life of the stream. However it ends, that is an error which says how long to wait.

        Raises:
            NetworkError: It ended.
        """
        time.sleep(max(0.0, self._began + SHORTEST_PAUSE_SECONDS - time.monotonic()))
        self._began = time.monotonic()
        try:
            yield
        except NetworkError as error:
            if not error.permanent and error.trouble != "out_of_credit":
                error.retry_after = self._pause(_kind(error), error.retry_after)
            raise
        raise NetworkError("X closed the stream", retry_after=self._pause("closed"))

    def _pause(self, kind: Kind, asked: float | None = None) -> float:
        if time.monotonic() - self._began > STABLE_SECONDS:
            self._failures.clear()
        self._failures[kind] += 1
        # Full jitter would undo what X asks for; some keeps bots from coming back in step.
        return max(asked or 0.0, pause(kind, self._failures[kind])) * random.uniform(1, 1.25)  # noqa: S311


def pause(kind: Kind, failures: int) -> float:
    """Seconds after so many failures in a row of one kind."""
    doubled = 2.0 ** min(failures - 1, 16)
    match kind:
        case "network":
            return min(16.0, max(SHORTEST_PAUSE_SECONDS, 0.25 * failures))
        case "closed":
            return min(320.0, SHORTEST_PAUSE_SECONDS * doubled)
        case "http":
            return min(320.0, 5 * doubled)
        case "rate_limited":
            return min(960.0, 60 * doubled)


def _kind(error: NetworkError) -> Kind:
    if error.trouble == "rate_limited":
        return "rate_limited"
    return "http" if isinstance(error, HttpError) else "network"
