"""What can go wrong on a network, switched on at will.

One table, KINDS, drives it:

kind                 where                    what happens
latency              any, stream's handshake  the answer waits `seconds` (1), then all goes as usual
rate_limited         any, stream's handshake  429, Retry-After: `seconds` (1), nothing is done
server_error         any, stream's handshake  500, nothing is done
error_after_success  any                      it is done, and the answer is 500
dropped_answer       any                      it is done, and the connection is cut without an answer
slow_processing      POST /api/v2/media       202, and url stays null for `seconds` (1)
idempotency_ignored  POST /api/v1/statuses    Idempotency-Key has no effect
idempotency_raced    POST /api/v1/statuses    equal keys within `seconds` (0.2) all succeed
stream_closes        GET /api/v1/streaming    closed cleanly (1000) after an event
stream_silent        GET /api/v1/streaming    open for `seconds` (300) yet mute: no event, no pong
stream_repeats       GET /api/v1/streaming    an event comes twice
stream_reorders      GET /api/v1/streaming    the next event, if it comes in `seconds` (0.5), goes first

Fields of a fault: `endpoint`, `kind`, `seconds`, `times` (how often, default: until switched off), `share`
(probability 0 to 1, default 1) with `seed`, and for stream_closes and stream_silent `when`: "event" (default)
strikes at the next event, "now" at once, and at once on later connections too. Several faults on one endpoint
add up. They live in memory: a restart is a healthy network.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.sandbox.dialects import Dialect
from bot.sandbox.errors import ApiError, invalid
from bot.sandbox.limits import limited

STREAM = "GET /api/v1/streaming"
POST_STATUS = "POST /api/v1/statuses"
POST_MEDIA = "POST /api/v2/media"
NOW_KINDS = {"stream_closes", "stream_silent"}


@dataclass(frozen=True)
class Kind:
    """Where a kind of fault may strike, and its `seconds` when none are given."""

    only: str | None = None  # the one endpoint it makes sense on; None: every one that answers
    on_stream: bool = False  # also while the stream is opened
    seconds: float = 0.0


KINDS: Mapping[str, Kind] = {
    "latency": Kind(on_stream=True, seconds=1.0),
    "rate_limited": Kind(on_stream=True, seconds=1.0),
    "server_error": Kind(on_stream=True),
    "error_after_success": Kind(),
    "dropped_answer": Kind(),
    "slow_processing": Kind(only=POST_MEDIA, seconds=1.0),
    "idempotency_ignored": Kind(only=POST_STATUS),
    "idempotency_raced": Kind(only=POST_STATUS, seconds=0.2),
    "stream_closes": Kind(only=STREAM),
    "stream_silent": Kind(only=STREAM, seconds=300.0),
    "stream_repeats": Kind(only=STREAM),
    "stream_reorders": Kind(only=STREAM, seconds=0.5),
}


@dataclass
class Fault:
    """One thing that goes wrong, and how often it still may."""

    endpoint: str
    kind: str
    seconds: float
    times: int | None = None
    share: float = 1.0
    seed: int | None = None
    when: str = "event"
    struck: int = 0
    dice: random.Random = field(default_factory=random.Random, repr=False)

    def strikes(self) -> bool:
        """Roll the dice once; True uses up one of `times`."""
        if self.times is not None and self.struck >= self.times:
            return False
        if self.share < 1 and self.dice.random() >= self.share:
            return False
        self.struck += 1
        return True

    def as_json(self) -> dict[str, Any]:
        """Return the fault as it was put, and how often it struck."""
        names = ("endpoint", "kind", "seconds", "times", "share", "seed", "when", "struck")
        return {name: getattr(self, name) for name in names}


class Faults:
    """The faults that are switched on."""

    def __init__(self, endpoints: Collection[str], dialect: Dialect) -> None:
        self.endpoints = endpoints
        self.dialect = dialect
        self.active: list[Fault] = []

    def draw(self, endpoint: str, kind: str, when: str = "event") -> Fault | None:
        """Return a fault of that kind if one strikes this time."""
        for fault in self.active:
            if fault.endpoint == endpoint and fault.kind == kind and fault.when == when and fault.strikes():
                return fault
        return None

    def draw_now(self) -> Fault | None:
        """Return a fault that ends a stream at once, if one strikes."""
        drawn = (self.draw(STREAM, kind, "now") for kind in sorted(NOW_KINDS))
        return next((fault for fault in drawn if fault), None)

    async def before(self, endpoint: str) -> None:
        """Go wrong before anything is done.

        Raises:
            ApiError: 429 or 500, the answer that a fault decided on.
        """
        if not self.active:
            return
        slow = self.draw(endpoint, "latency")
        if slow:
            await asyncio.sleep(slow.seconds)
        many = self.draw(endpoint, "rate_limited")
        if many:
            raise limited(300, time.time() + many.seconds, self.dialect)
        if self.draw(endpoint, "server_error"):
            raise broken()


def broken() -> ApiError:
    """Return the answer of a server that failed."""
    return ApiError(500, "Something went wrong on the server")


def parse(wanted: Any, endpoints: Collection[str]) -> Fault:
    """Check one fault of a request.

    Raises:
        ApiError: 422, naming what is wrong and what would be right.
    """
    if not isinstance(wanted, dict):
        raise invalid(
            f'a fault is {_shown(wanted)} but must be an object like {{"endpoint": ..., "kind": ...}}'
        )
    endpoint, name = wanted.get("endpoint", ""), wanted.get("kind", "")
    if not isinstance(endpoint, str) or endpoint not in endpoints:
        raise invalid(f"endpoint is {_shown(endpoint)} but must be one of: {'; '.join(sorted(endpoints))}")
    fitting = [kind for kind, rule in KINDS.items() if _fits(rule, endpoint)]
    if not isinstance(name, str) or name not in fitting:
        raise invalid(f"kind is {_shown(name)} but must be one of, for {endpoint}: {', '.join(fitting)}")
    unknown = set(wanted) - {"endpoint", "kind", "seconds", "times", "share", "seed", "when"}
    if unknown:
        raise invalid(f"fields {sorted(unknown)} are unknown; use seconds, times, share, seed, when")
    when = wanted.get("when", "event")
    if when != "event" and (when != "now" or name not in NOW_KINDS):
        raise invalid(f'when is {_shown(when)} but must be "event", or "now" with {sorted(NOW_KINDS)}')
    seed = wanted.get("seed")
    if seed is not None and type(seed) is not int:
        raise invalid(f"seed is {_shown(seed)} but must be a whole number")
    return Fault(
        endpoint,
        name,
        seconds=_number(wanted, "seconds", KINDS[name].seconds, 3600),
        times=None if wanted.get("times") is None else int(_number(wanted, "times", 1, 10**9)),
        share=_number(wanted, "share", 1.0, 1),
        seed=seed,
        when=when,
        dice=random.Random(seed),  # noqa: S311
    )


def _fits(rule: Kind, endpoint: str) -> bool:
    if rule.only is not None:
        return rule.only == endpoint
    return rule.on_stream or endpoint != STREAM


def _shown(value: Any) -> str:
    # Of lists and objects only the type: to print what is nested deeply may take more stack than there is.
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"


def _number(wanted: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = wanted.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise invalid(f"{name} is {_shown(value)} but must be a number from 0 to {most}")
    return value
