"""How the bot is doing: what waits, for how long, and who is alive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from redis import Redis

from bot import queues
from bot.alarms import Alarm, alarms
from bot.backlog import backlog
from bot.beats import silences
from bot.budget import Spent, spent
from bot.judges import Report, in_words, reports
from bot.leader import leaders
from bot.ledger import Ledger

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
    retried: int
    """Mentions that had failed and were given another chance; they do not count as failed any more."""
    parked: int
    """Mentions that may have been answered, which has to be looked up first."""
    oldest: float | None
    """Age of the mention that has waited longest for its answer."""
    oldest_key: str | None
    queues: dict[str, queues.Line]
    leaders: dict[str, str]
    """Which process listens to each network: HOST/PID."""
    silences: dict[str, float]
    """Since each stream's and poller's last sign of life."""
    budgets: Mapping[str, Spent]
    """What each network that costs something has cost, and may, in dollars."""
    judges: dict[str, Report]
    """What each living worker judges with."""

    def as_json(self) -> dict[str, Any]:
        """The overview for programs."""
        judges = {worker: report.model_dump(mode="json") for worker, report in self.judges.items()}
        return asdict(self) | {"judges": judges}

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
        lines += in_words(self.judges)
        lines += [f"{network} listener: {process}" for network, process in self.leaders.items()]
        lines += [f"{name}: last seen {_duration(seconds)} ago" for name, seconds in self.silences.items()]
        lines += [
            f"{name} budget: ${cost.today:.2f} of ${cost.daily:.2f} today, "
            f"${cost.month:.2f} of ${cost.monthly:.2f} this month"
            for name, cost in self.budgets.items()
        ]
        return "\n".join(lines)


def look(redis: Redis, promise_seconds: float, most: int | None = None) -> Overview:
    """Gather an overview. It costs one read per open mention, and none per finished one.

    Args:
        redis: What it is an overview of.
        promise_seconds: Within which a mention should be answered.
        most: Of more open mentions than so many, so many are read and stand for all.
    """
    waiting = backlog(redis, promise_seconds, most)
    counts = Ledger(redis).counts()
    retried = counts.get("retried", 0)
    return Overview(
        alarms=alarms(redis),
        open=waiting.open,
        ended={state: counts.get(state, 0) - retried * (state == "failed") for state in ENDED_STATES},
        retried=retried,
        parked=waiting.parked,
        oldest=waiting.oldest,
        oldest_key=waiting.oldest_key,
        queues={name: queues.line(redis, name) for name in queues.JOBS},
        leaders=leaders(redis),
        silences=silences(redis),
        budgets=spent(redis),
        judges=reports(redis),
    )


def _counts(numbers: dict[str, int]) -> str:
    return "  ".join(f"{name} {number}" for name, number in numbers.items())


def _duration(seconds: float | None) -> str:
    seconds = seconds or 0
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
