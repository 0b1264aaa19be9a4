"""What Redis knows of the whole bot, in Prometheus's terms. The listener exports it."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from redis import Redis, RedisError

from bot import keys
from bot.etiquette import HOUR_SECONDS
from bot.overview import Overview, look
from bot.settings import ListenerSettings

# Of more open mentions than so many, so many are read and stand for all: a scrape takes 0.1 s at the most.
MOST_READ = 2000

Samples = Mapping[tuple[str, ...], float]


class Gauges(Collector):
    """Looks at Redis whenever somebody scrapes.

    Args:
        redis: A connection that gives up soon.
        networks: Those that the bot is on.
        settings: How many mentions are answered in an hour, and how soon.
    """

    def __init__(self, redis: Redis, networks: Sequence[str], settings: ListenerSettings) -> None:
        self._redis = redis
        self._networks = networks
        self._settings = settings
        # Many who scrape at a time cost Redis no more than one does.
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Nothing: so that the listener starts without asking Redis."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """All of it; of a Redis that is away, only that."""
        found = self._look()
        yield _gauge("redis_up", "Whether Redis answers the listener.", {(): found is not None})
        if found is None:
            return
        overview, left = found
        yield _gauge("replies_left", "Mentions that may still be answered in this hour.", left, ["network"])
        yield from _mentions(overview)
        yield from _queues(overview)
        yield _silences(overview, self._networks)
        yield from _operation(overview)

    def _look(self) -> tuple[Overview, Samples] | None:
        with self._lock, suppress(RedisError):
            left = {network: self._left(network) for network in self._networks}
            return look(self._redis, self._settings.promise_seconds, MOST_READ), _by(left)
        return None

    def _left(self, network: str) -> int:
        seconds, _ = self._redis.time()
        used: int = self._redis.zcount(
            keys.quota(f"all:{network}:{HOUR_SECONDS}"), seconds - HOUR_SECONDS, "+inf"
        )
        return max(0, self._settings.per_hour - used)


def _mentions(overview: Overview) -> Iterator[Metric]:
    # A failed mention that is tried again has failed all the same: what Prometheus counts must not fall.
    ended = overview.ended | {"failed": overview.ended["failed"] + overview.retried}
    counted = CounterMetricFamily("deepselfie_mentions", "Mentions that are over.", labels=["outcome"])
    for outcome, number in ended.items():
        counted.add_metric([outcome], number)
    yield counted
    yield _gauge("mentions_open", "Mentions that are not over.", _by(overview.open), ["state"])
    yield _gauge(
        "mentions_parked", "Open mentions of which nobody knows whether they are answered.",
        {(): overview.parked},
    )  # fmt: skip
    yield _gauge(
        "oldest_mention_seconds", "For how long the oldest open mention has waited; 0: there is none.",
        {(): overview.oldest or 0},
    )  # fmt: skip


def _queues(overview: Overview) -> Iterator[Metric]:
    lines, by = overview.queues, ["queue"]
    yield _gauge("queue_jobs", "Mentions in a queue.", _by({q: line.jobs for q, line in lines.items()}), by)
    yield _gauge(
        "queue_age_seconds", "For how long the first in a queue has waited; 0: it is empty.",
        _by({queue: line.age or 0 for queue, line in lines.items()}), by,
    )  # fmt: skip
    yield _gauge(
        "queue_workers", "Processes that work on a queue.",
        _by({queue: line.workers for queue, line in lines.items()}), by,
    )  # fmt: skip


def _silences(overview: Overview, networks: Collection[str]) -> Metric:
    parts = {tuple(name.split(" ", 1)): seconds for name, seconds in overview.silences.items()}
    return _gauge(
        "silence_seconds",
        "Since the last sign of life of a network's stream or poll.",
        # A network that the bot has left is silent for ever.
        {part: seconds for part, seconds in parts.items() if part[0] in networks},
        ["network", "part"],
    )


def _operation(overview: Overview) -> Iterator[Metric]:
    yield _gauge(
        "alarm", "1 for each alarm that is raised.", {(name,): 1 for name in overview.alarms}, ["name"]
    )
    cost: dict[tuple[str, ...], float] = {}
    budget: dict[tuple[str, ...], float] = {}
    for network, spent in overview.budgets.items():
        cost |= {(network, "day"): spent.today, (network, "month"): spent.month}
        budget |= {(network, "day"): spent.daily, (network, "month"): spent.monthly}
    by = ["network", "window"]
    yield _gauge("cost_dollars", "What a network has cost in this day and month (UTC).", cost, by)
    yield _gauge("budget_dollars", "What it may cost in a day and a month.", budget, by)


def _gauge(name: str, words: str, samples: Samples, labels: Sequence[str] = ()) -> Metric:
    gauge = GaugeMetricFamily(f"deepselfie_{name}", words, labels=labels)
    for values, sample in samples.items():
        gauge.add_metric(values, sample)
    return gauge


def _by(numbers: Mapping[str, float]) -> Samples:
    return {(name,): number for name, number in numbers.items()}
