"""What waits: the open mentions by state, the parked ones, and the one that has waited longest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from redis import Redis

from bot import keys

OPEN_STATES = ("new", "judging", "ready", "sending")
FIELDS = ("state", "lease", "deadline")
# Read in one go: some milliseconds of Redis' time, and one round trip.
CHUNK = 500


@dataclass(frozen=True)
class Backlog:
    """The mentions that are not over."""

    open: dict[str, int]
    """How many, by state."""
    parked: int
    """How many of them may have been answered, which has to be looked up first."""
    oldest: float | None
    """Seconds for which the one has waited that has waited longest; None if there is none."""
    oldest_key: str | None


def backlog(redis: Redis, promise_seconds: float, most: int | None = None) -> Backlog:
    """Look at the open mentions: one read each, 500 in a round trip.

    Args:
        redis: Where they are.
        promise_seconds: How long after it was heard, or tried again by hand, each one's deadline is.
        most: Of more than so many, so many are drawn by lot, and stand for all.
    """
    count: Any = redis.zcard(keys.OPEN) if most else 0
    is_drawn = most is not None and count > most
    names: Any = redis.zrandmember(keys.OPEN, most) if is_drawn else _names(redis)
    states: Counter[str] = Counter()
    deadlines: dict[str, float] = {}
    parked = 0
    for key, (state, lease, deadline) in _read(redis, names):
        if state is not None and deadline is not None:
            states[state.decode()] += 1
            parked += state == b"sending" and lease is None
            deadlines[key] = float(deadline)
    scale = count / max(1, states.total()) if is_drawn else 1
    oldest = min(deadlines, key=deadlines.__getitem__, default=None)
    return Backlog(
        open={state: round(states[state] * scale) for state in OPEN_STATES},
        parked=round(parked * scale),
        # Not by the times in its record: a crash or another try changes those.
        oldest=max(0.0, time.time() - deadlines[oldest] + promise_seconds) if oldest else None,
        oldest_key=oldest,
    )


def _names(redis: Redis) -> Iterator[bytes]:
    """The keys of all open mentions. Who comes or goes meanwhile may be missed, nobody else."""
    seen: set[bytes] = set()
    for name, _ in redis.zscan_iter(keys.OPEN, count=CHUNK):
        if name not in seen:
            seen.add(name)
            yield name


def _read(redis: Redis, names: Iterable[bytes]) -> Iterator[tuple[str, Sequence[bytes | None]]]:
    rest = iter(names)
    while chunk := [name.decode() for name in islice(rest, CHUNK)]:
        with redis.pipeline(transaction=False) as pipeline:
            for key in chunk:
                pipeline.hmget(keys.record(key), FIELDS)
            yield from zip(chunk, pipeline.execute(), strict=True)
