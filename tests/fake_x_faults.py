"""What can go wrong on the fake X, switched on at will with PUT /sandbox/faults, as on the sandbox network.

latency, rate_limited, server_error,
unauthorized, out_of_credit, forbidden    any call: nothing is done
error_after_success, dropped_answer       any call: it is done
lags              GET /2/users/:id/tweets: what is younger than `seconds` is not shown yet
duplicate         POST /2/tweets: 403 for a text that its author has posted before
stream_closes     after an event, cleanly (`when`: "now": at once)
stream_cut        in the middle of an event
stream_silent     for `seconds`, neither events nor signs of life
stream_repeats    an event comes twice
stream_reorders   the next event, if it comes in `seconds`, goes first
stream_untagged   the matching rule has no tag
stream_garbage    before an event comes what is none

`seconds`, `times`, `share` with `seed`, and `when` are those of bot.sandbox.faults. A restart is a healthy
network.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Collection, Sequence
from typing import Any

from bot.sandbox.faults import Fault

STREAM = "GET /2/tweets/search/stream"
POST = "POST /2/tweets"
TIMELINE = "GET /2/users/:id/tweets"
SECONDS = {"latency": 1.0, "lags": 1.0, "rate_limited": 1.0, "stream_silent": 300.0, "stream_reorders": 0.5}
ANYWHERE = {"latency", "rate_limited", "server_error", "unauthorized", "out_of_credit", "forbidden"}
AFTERWARDS = {"error_after_success", "dropped_answer"}
ON_STREAM = {
    f"stream_{how}" for how in ("closes", "cut", "silent", "repeats", "reorders", "untagged", "garbage")
}

CREDITS = "Your enrolled account does not have any credits to fulfill this request."
DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
TYPES = "https://api.twitter.com/2/problems/"


class Problem(Exception):
    """An answer without success, in X's form."""

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.headers: dict[str, str] = more.pop("headers", {})
        self.body = {"title": title, "detail": detail, "type": "about:blank", "status": status, **more}


def forbidden(detail: str) -> Problem:
    return Problem(403, "Forbidden", detail)


def unauthorized() -> Problem:
    return Problem(401, "Unauthorized", "Unauthorized")


def invalid(detail: str) -> Problem:
    return Problem(400, "Invalid Request", detail, type=f"{TYPES}invalid-request")


class Faults:
    """The faults that are switched on."""

    def __init__(self, endpoints: Collection[str]) -> None:
        self._endpoints = endpoints
        self._lock = threading.Lock()
        self.active: list[Fault] = []

    def put(self, wanted: Any) -> None:
        """Let these strike, and no others."""
        if not isinstance(wanted, list):
            raise invalid('the body has no list "faults"')
        self.active = [self._parsed(one) for one in wanted]

    def as_json(self) -> Sequence[dict[str, Any]]:
        return [fault.as_json() for fault in self.active]

    def draw(self, endpoint: str, kind: str, when: str = "event") -> Fault | None:
        """A fault of that kind, if one strikes this time."""
        with self._lock:
            fitting = (f for f in self.active if (f.endpoint, f.kind, f.when) == (endpoint, kind, when))
            return next((fault for fault in fitting if fault.strikes()), None)

    def before(self, endpoint: str) -> None:
        """Go wrong before anything is done.

        Raises:
            Problem: What the fault answers.
        """
        if fault := self.draw(endpoint, "latency"):
            time.sleep(fault.seconds)
        if fault := self.draw(endpoint, "rate_limited"):
            reset = str(int(time.time() + fault.seconds))
            headers = {
                "x-rate-limit-limit": "300",
                "x-rate-limit-remaining": "0",
                "x-rate-limit-reset": reset,
            }
            raise Problem(429, "Too Many Requests", "Too Many Requests", headers=headers)
        if self.draw(endpoint, "server_error"):
            raise broken()
        if self.draw(endpoint, "unauthorized"):
            raise unauthorized()
        if self.draw(endpoint, "out_of_credit"):
            raise Problem(402, "CreditsDepleted", CREDITS, type=f"{TYPES}credits")
        if self.draw(endpoint, "forbidden"):
            raise forbidden("You are not permitted to perform this action.")

    def _parsed(self, wanted: Any) -> Fault:
        endpoint, kind = wanted.get("endpoint"), wanted.get("kind")
        fitting = ANYWHERE | (ON_STREAM if endpoint == STREAM else AFTERWARDS)
        fitting |= {POST: {"duplicate"}, TIMELINE: {"lags"}}.get(endpoint, set())
        if endpoint not in self._endpoints or kind not in fitting:
            raise invalid(
                f"no {kind!r} on {endpoint!r}; there are {sorted(self._endpoints)} and {sorted(fitting)}"
            )
        rest = {name: value for name, value in wanted.items() if name not in {"endpoint", "kind", "seconds"}}
        seconds = float(wanted.get("seconds", SECONDS.get(kind, 0.0)))
        return Fault(endpoint, kind, seconds, **rest, dice=random.Random(wanted.get("seed")))


def broken() -> Problem:
    return Problem(503, "Service Unavailable", "Service Unavailable")
