"""A process's place at one queue: it takes many jobs at once, and ends them together.

    queue ──► take ──► in hand, kept alive by beat ──► finish, fail or hand_back

RQ's own worker needs two dozen round trips for each job, and imports, calls and sends whatever its record
names. Whoever may write to Redis writes records, so nothing of RQ's that reads one runs here: a job is only
ever the mention that it is for.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
import traceback
import zlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from redis import Redis, RedisError
from redis.client import Pipeline
from rq import Queue
from rq.serializers import JSONSerializer
from rq.utils import utcformat
from rq.worker import WorkerStatus
from rq.worker_registration import clean_worker_registry

from bot import scripts
from bot.jobs import BEAT, FAIL, FAILED_TTL_SECONDS, HAND_BACK, JOBS, TAKE, TIDY, Job
from bot.logs import Log
from bot.signature import Signature

# A job whose heartbeat is older than its timeout and a minute is given up.
BEAT_SECONDS = 10
# As often as RQ does.
TIDY_SECONDS = 600

ABANDONED = "given up: its worker gave no sign of life for too long. The ledger sees to the mention"

SUSPENDED = "rq:suspended"

LOG = Log(__name__)


class Bench:
    """A process's place at one queue, where it has many jobs in hand. Safe to call from several threads.

    Args:
        redis: Where the queue is; other threads may use the same client.
        queue: The queue's name.
        name: What RQ calls this worker; made up if none is given.
    """

    def __init__(self, redis: Redis, queue: str, name: str | None = None) -> None:
        self._redis = redis
        self._function = JOBS[queue]
        self._queue = Queue(queue, connection=redis, serializer=JSONSerializer)
        self._worker = Signature([self._queue], name, connection=redis, serializer=JSONSerializer)
        self._take = redis.register_script(TAKE)
        self._beat = redis.register_script(BEAT)
        self._fail = redis.register_script(FAIL)
        self._tidy = redis.register_script(TIDY)
        self._hand_back = redis.register_script(HAND_BACK)
        self._in_hand: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._names = [f"rq:queue:{queue}", f"rq:wip:{queue}"]
        self._names += [self._worker.key, self._worker.executions_key]
        self._failed = f"rq:failed:{queue}"
        self._due = self._tidy_due = 0.0

    @property
    def name(self) -> str:
        """What RQ calls this worker."""
        return self._worker.name

    def sign_on(self) -> None:
        """Tell RQ that there is a worker, again if need be."""
        self._worker.register_birth()
        self._worker.set_state(WorkerStatus.STARTED)
        self.beat()

    def sign_off(self) -> None:
        """Tell RQ that there is one less."""
        self._worker.register_death()  # type: ignore[no-untyped-call]

    def wait(self, seconds: float) -> bool:
        """Wait until the queue has a job, which stays there: who waits and dies loses nothing.

        Args:
            seconds: The most to wait, less than the client's own timeout.

        Returns:
            Whether there is one.
        """
        queue = self._names[0]
        # RQ's workers stop while it is set, and the jobs stay where they are.
        if self._redis.exists(SUSPENDED):
            time.sleep(seconds)
            return False
        # Redis takes parts of a second, of which redis-py's types know nothing.
        return self._redis.blmove(queue, queue, seconds, "LEFT", "LEFT") is not None  # type: ignore[arg-type]

    def take(self, most: int) -> list[Job]:
        """Start up to so many jobs, if the queue has any. What is no job of ours fails at once."""
        now = datetime.now(UTC)
        base = secrets.token_hex(12)
        arguments: list[Any] = [most, utcformat(now), now.timestamp(), self.name, base]
        jobs, foreign = [], []
        for name, execution, data in self._take(keys=[*self._names, SUSPENDED], args=arguments):
            key, reason = self._read(data)
            job = Job(name.decode(), execution.decode(), key, now)
            jobs.append(job)
            if reason:
                foreign.append((job, reason))
        with self._lock:
            self._in_hand |= {job.attempt: job for job in jobs}
        try:
            for job, reason in foreign:
                LOG.warning("job refused", job=job.id, reason=reason)
                self.fail(job, reason)
        except RedisError:
            # Nobody hears of them, so nobody would end them.
            self.forget(jobs)
            raise
        return [job for job in jobs if job.key]

    def _read(self, data: bytes | None) -> tuple[str, str]:
        """A job's mention, or else why it has none."""
        try:
            function, _, [key], _ = json.loads(zlib.decompress(data or b""))
        except (ValueError, TypeError, zlib.error) as error:
            return "", f"its data cannot be read ({error}); enqueue mentions by their keys"
        if function != self._function or not (key and isinstance(key, str)):
            return "", f"it is to run {str(function)[:100]!r}; this queue's jobs run {self._function}"
        return key, ""

    def finish(self, pipeline: Pipeline, jobs: Sequence[Job]) -> None:
        """End jobs, when the pipeline is executed, in which their outcome can be written too."""
        if not jobs:
            return
        now = datetime.now(UTC)
        self._let_go(pipeline, jobs)
        pipeline.delete(*(job.record for job in jobs))
        # One may have been given up meanwhile.
        pipeline.zrem(self._failed, *(job.id for job in jobs))
        pipeline.hincrby(self._worker.key, "successful_job_count", len(jobs))
        self._count_time(pipeline, jobs, now)

    def end(self, jobs: Sequence[Job]) -> None:
        """End jobs now."""
        with self._redis.pipeline() as pipeline:
            self.finish(pipeline, jobs)
            pipeline.execute()

    def _count_time(self, pipeline: Pipeline, jobs: Sequence[Job], now: datetime) -> None:
        seconds = sum((now - job.since).total_seconds() for job in jobs)
        pipeline.hincrbyfloat(self._worker.key, "total_working_time", seconds)

    def hand_back(self, pipeline: Pipeline, jobs: Sequence[Job]) -> None:
        """Put jobs back, when the pipeline is executed, so that they are the next to be taken.

        redis-py executes a pipeline again whose answer was lost: a job comes back once all the same.
        """
        if not jobs:
            return
        attempts = [part for job in jobs for part in (job.id, job.execution)]
        scripts.call(pipeline, self._hand_back, [([*self._names[:2], self._failed], attempts)])
        self._let_go(pipeline, jobs)

    def _let_go(self, pipeline: Pipeline, jobs: Sequence[Job]) -> None:
        """Strike jobs off the registries of what is under way."""
        self.forget(jobs)
        _, registry, worker, executions = self._names
        attempts = [job.attempt for job in jobs]
        pipeline.delete(*(name for job in jobs for name in job.traces))
        pipeline.zrem(registry, *attempts)
        pipeline.srem(executions, *attempts)
        pipeline.hset(worker, "state", self._state.value)
        # Should RQ have forgotten the worker, this must not be its last trace for ever.
        pipeline.expire(worker, self._worker.worker_ttl, nx=True)

    @property
    def _state(self) -> WorkerStatus:
        return WorkerStatus.BUSY if self._in_hand else WorkerStatus.IDLE

    def fail(self, job: Job, why: str | BaseException) -> None:
        """End a job that went wrong: RQ keeps it, with a traceback or words, for an hour."""
        words = why if isinstance(why, str) else "".join(traceback.format_exception(why))
        now = datetime.now(UTC)
        arguments = [now.timestamp(), FAILED_TTL_SECONDS, _packed(words), job.id, job.execution, self.name]
        arguments += [job.since.timestamp(), utcformat(now)]
        with self._redis.pipeline() as pipeline:
            scripts.call(pipeline, self._fail, [([self._names[1], self._failed], arguments)])
            self._let_go(pipeline, [job])
            pipeline.hincrby(self._worker.key, "failed_job_count", 1)
            self._count_time(pipeline, [job], now)
            pipeline.execute()

    def forget(self, jobs: Sequence[Job]) -> None:
        """Keep jobs alive no longer, as if this process had died over them: RQ will call them abandoned."""
        with self._lock:
            for job in jobs:
                self._in_hand.pop(job.attempt, None)

    def beat(self, *, now: bool = False) -> None:
        """Say that worker and jobs are alive, if that was last done some seconds ago."""
        if time.monotonic() < self._due and not now:
            return
        moment = datetime.now(UTC)
        with self._lock:
            attempts = [part for job in self._in_hand.values() for part in (job.id, job.execution)]
        arguments: list[Any] = [
            utcformat(moment),
            moment.timestamp(),
            self._worker.worker_ttl + 60,
            *attempts,
        ]
        if not self._beat(keys=self._names[1:], args=arguments):
            self._worker.register_birth()
        if time.monotonic() >= self._tidy_due:
            self._tidy_up(moment)
        self._due = time.monotonic() + BEAT_SECONDS

    def _tidy_up(self, now: datetime) -> None:
        """What RQ's maintenance does for the registries that our jobs are ever in."""
        arguments: list[Any] = [now.timestamp(), FAILED_TTL_SECONDS, _packed(ABANDONED)]
        if abandoned := self._tidy(keys=[self._names[1], self._failed], args=arguments):
            LOG.warning("jobs given up", jobs=len(abandoned), queue=self._queue.name)
        # It only counts who is there.
        clean_worker_registry(self._queue)
        self._tidy_due = time.monotonic() + TIDY_SECONDS


def _packed(words: str) -> bytes:
    """Words as RQ's results have them."""
    return b64encode(zlib.compress(words.encode()))
