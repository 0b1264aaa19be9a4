"""How the bot is doing: what waits, for how long, and who is alive."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from bot import queues
from bot.alarms import Alarm, alarms
from bot.beats import silences
from bot.budget import Spent, spent
from bot.ledger import Ledger

OPEN_STATES = ("new", "judging", "ready", "sending")
ENDED_STATES = ("sent", "skipped", "expired", "failed")


@dataclass(frozen=True)
class Overview:
    """One look at everything. Ages and silences in seconds."""

    alarms: dict[str, Alarm]
    """What the operator has to look at, by name."""
    open: dict[str, int]
    """Mentions that are not over, by state."""
    ended: dict[str, int]
    """Mentions that are over, by outcome, since the ledger began."""
    parked: int
    """Mentions that may have been answered, which has to be looked up first."""
    oldest: float | None
    """Age of the mention that has waited longest for its answer."""
    oldest_key: str | None
    queues: dict[str, queues.Line]
    silences: dict[str, float]
    """Since each stream's and poller's last sign of life."""
    budgets: Mapping[str, Spent]
    """What each network that costs something has cost, and may, in dollars."""

    def as_json(self) -> dict[str, Any]:
        """The overview for programs."""
        return asdict(self)

    def as_text(self) -> str:
        """The overview for people."""
        oldest = f"{self.oldest_key}, {_duration(self.oldest)}" if self.oldest is not None else "none"
        lines = [
            f"ALARM      {name}, for {_duration(alarm.seconds)}: {alarm.words}"
            for name, alarm in self.alarms.items()
        ]
        lines += [
            f"open       {_counts(self.open)}",
            f"ended      {_counts(self.ended)}",
            f"parked     {self.parked}",
            f"oldest     {oldest}",
        ]
        for name, line in self.queues.items():
            age = f", the first for {_duration(line.age)}" if line.age is not None else ""
            lines.append(f"{name:10} {line.jobs} waiting{age}; {line.workers} at work")
        lines += [f"{name}: last seen {_duration(seconds)} ago" for name, seconds in self.silences.items()]
        lines += [
            f"{name} budget: ${cost.today:.2f} of ${cost.daily:.2f} today, "
            f"${cost.month:.2f} of ${cost.monthly:.2f} this month"
            for name, cost in self.budgets.items()
        ]
        return "\n".join(lines)


def look(redis: Redis) -> Overview:
    """Gather an overview. It costs one read per open mention, and none per finished one."""
    ledger = Ledger(redis)
    states: Counter[str] = Counter()
    parked = 0
    since: dict[str, float] = {}
    for key, record in ledger.open():
        states[record.state] += 1
        parked += record.state == "sending" and not record.is_leased
        since[key] = next(iter(record.times.values()))
    oldest = min(since, key=since.__getitem__, default=None)
    counts = ledger.counts()
    return Overview(
        alarms=alarms(redis),
        open={state: states[state] for state in OPEN_STATES},
        ended={state: counts.get(state, 0) for state in ENDED_STATES},
        parked=parked,
        oldest=time.time() - since[oldest] if oldest else None,
        oldest_key=oldest,
        queues={name: queues.line(redis, name) for name in queues.JOBS},
        silences=silences(redis),
        budgets=spent(redis),
    )


def _counts(numbers: dict[str, int]) -> str:
    return "  ".join(f"{name} {number}" for name, number in numbers.items())


def _duration(seconds: float | None) -> str:
    seconds = seconds or 0
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
