"""What it costs to count and time a mention."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bot import metrics
from bot.logs import about
from bot.messages import Judged

OPINION = Judged(score=0.5, label="good", percentile=0.5)
LOCK = threading.Lock()
ANSWERS = metrics.ANSWER_SECONDS.labels("test")


def count_and_time() -> None:
    """All that is done for one mention with one photo, in worker and responder."""
    with about("mastodon:1"), about("mastodon:1"), about("mastodon:1"):
        metrics.STAGES["queue"].observe(0.1)
        metrics.BATCH_PHOTOS.observe(1)
        metrics.observe_mention([OPINION], download=0.1, decode=0.1, model=0.1)
        with metrics.STAGES["post"].time():
            pass
        ANSWERS.observe(0.5)


def add() -> None:
    """A hundred additions under a lock: some 25 microseconds."""
    total = 0.0
    for _ in range(100):
        with LOCK:
            total += 0.1


def test_a_mention_costs_less_than_a_hundred_additions_under_a_lock() -> None:
    def seconds(step: Callable[[], None]) -> float:
        begin = time.process_time()
        for _ in range(1000):
            step()
        return time.process_time() - begin

    # In turns, since the machine is not equally fast at all times.
    ratios = [seconds(count_and_time) / seconds(add) for _ in range(10)]
    assert min(ratios) < 1


def test_the_promise_and_the_aim_are_edges_of_buckets() -> None:
    assert {2, 60} <= set(metrics.ANSWER_BUCKETS)
