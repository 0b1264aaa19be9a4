"""Our worker among its peers, in a crowd each of whom waits for a verdict before mentioning it again."""

from __future__ import annotations

import time

from benchmarks.footprint import cpu
from benchmarks.pipeline_stage import Stage
from bot import jobs, queues
from bot.ledger import Ledger

PATIENCE_SECONDS = 30
WAIT_SECONDS = 2  # less than a connection to Redis may be silent


class Ours:
    """A worker that waits for mentions, and the crowd.

    Args:
        stage: Where it runs.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._redis = stage.redis
        self._ledger = Ledger(stage.redis)

    def cpu(self) -> float:
        """Seconds of processor time so far: the worker's, its decoders' and Valkey's."""
        return sum(cpu(self._stage.processes.pid(name)) for name in ("worker", "redis"))

    def crowd(self, mentions: int, *, at_once: int) -> list[float]:
        """Mention it so often, a new time whenever one is judged, and give the scores."""
        keys, done = self._mention(min(at_once, mentions)), 0
        while done < mentions:
            judged = self._judged(at_once)
            done += judged
            keys += self._mention(min(judged, mentions - len(keys)))
        return [self._score(key) for key in keys]

    def _mention(self, number: int) -> list[str]:
        keys = self._stage.hear(number) if number else []
        if keys:
            queues.enqueue(self._redis, jobs.PHOTOS, *keys)
        return keys

    def _judged(self, most: int) -> int:
        """Wait for verdicts, and take those that are there off the queue of replies."""
        queue = f"rq:queue:{jobs.REPLIES}"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._redis.blpop([queue], WAIT_SECONDS):
            self._stage.processes.check()
            if time.monotonic() > deadline:
                raise TimeoutError(f"no mention was judged within {PATIENCE_SECONDS} s")
        more = self._redis.lpop(queue, most - 1) if most > 1 else None
        return 1 + len(more or ())

    def _score(self, key: str) -> float:
        record = self._ledger.read(key)
        assert record
        assert record.score is not None, record
        return record.score
