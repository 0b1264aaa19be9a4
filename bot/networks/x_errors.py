"""What goes wrong between the bot and X, as NetworkError."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import requests
from urllib3.exceptions import HTTPError, NewConnectionError

from bot.networks.base import NetworkError, Trouble

CREDIT_PAUSE_SECONDS = 3600

# X tells apart by its words alone what it answers 403 to.
WORDS: tuple[tuple[Trouble, tuple[str, ...]], ...] = (
    ("duplicate", ("duplicate content",)),
    ("gone", ("deleted or not visible", "is unavailable", "not found", "protected")),
    # "Reply to this conversation is not allowed because you have not been mentioned or otherwise engaged …"
    ("gone", ("not allowed to reply", "conversation is not allowed", "restricted who can reply", "blocked")),
    ("out_of_credit", ("credit", "spend cap", "spending limit", "usage cap")),
)
ADVICE: dict[Trouble, str] = {
    "unauthorized": "set valid X_CONSUMER_KEY, X_CONSUMER_SECRET, X_ACCESS_TOKEN, X_ACCESS_TOKEN_SECRET and "
    "X_BEARER_TOKEN",
    "out_of_credit": "buy credit, or raise the spending limit, in X's developer console",
    "duplicate": "other words may pass",
    "refused": "see whether the app may read and write, and what X's developer console says of it",
}
# They go away: by waiting, by paying, by other words, or by themselves.
PASSING: frozenset[Trouble] = frozenset({"rate_limited", "out_of_credit", "duplicate", "unreachable"})


class HttpError(NetworkError):
    """X answered, but did not do what it was asked."""


def http_error(response: requests.Response, doing: str) -> HttpError:
    """What an answer without success means."""
    words = _words(response)
    trouble = _trouble(response.status_code, words.lower())
    advice = f"; {ADVICE[trouble]}" if trouble in ADVICE else ""
    wait = None
    if trouble == "rate_limited":
        wait = _reset(response)
    elif trouble == "out_of_credit":
        wait = float(CREDIT_PAUSE_SECONDS)
    return HttpError(
        f"{doing}: X answered {response.status_code} {words}{advice}",
        trouble=trouble,
        permanent=trouble not in PASSING,
        # What a text is a duplicate of may be the very reply whose answer was lost.
        unknown=trouble in {"unreachable", "duplicate"} and not _only_reads(response.request.method),
        retry_after=wait,
    )


@contextmanager
def transport_errors(doing: str, method: str) -> Iterator[None]:
    """Turn the errors of a call without an answer into ours."""
    try:
        yield
    except (requests.RequestException, HTTPError, OSError) as error:
        unknown = not _only_reads(method) and not _was_refused(error)
        raise NetworkError(f"{doing}: {error}", unknown=unknown) from None


def _trouble(status: int, words: str) -> Trouble:
    named: dict[int, Trouble] = {401: "unauthorized", 402: "out_of_credit", 404: "gone", 410: "gone"}
    if status in named:
        return named[status]
    if status in {403, 429}:
        for trouble, marks in WORDS:
            if any(mark in words for mark in marks) and (status == 403 or trouble == "out_of_credit"):
                return trouble
    if status == 429:
        return "rate_limited"
    return "refused" if 400 <= status < 500 and status != 408 else "unreachable"


def _words(response: requests.Response) -> str:
    """What X says is wrong: in a problem's own fields, in those of its `errors`, or else nothing."""
    try:
        body = response.json()
    except requests.JSONDecodeError:
        return response.reason or ""
    problems = [body, *_list(body.get("errors"))] if isinstance(body, dict) else []
    named = [
        str(problem[name])
        for problem in problems
        if isinstance(problem, dict)
        for name in ("title", "detail", "message")
        if problem.get(name)
    ]
    return ": ".join(dict.fromkeys(named)) or response.reason or ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _reset(response: requests.Response) -> float | None:
    """Seconds until X takes such calls again, by its limit for 15 minutes or one for a day."""
    headers = response.headers
    names = ["x-rate-limit"]
    names += [
        f"x-{of}-limit-24hour"
        for of in ("app", "user")
        if headers.get(f"x-{of}-limit-24hour-remaining") == "0"
    ]
    resets = [headers.get(f"{name}-reset", "") for name in names]
    waits = [int(reset) - time.time() for reset in resets if reset.isascii() and reset.isdigit()]
    return max([1.0, *waits]) if waits else None


def _only_reads(method: str | None) -> bool:
    return method == "GET"


def _was_refused(error: Exception) -> bool:
    """Whether not even a connection came about, so that X cannot have done anything."""
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", None)
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)
