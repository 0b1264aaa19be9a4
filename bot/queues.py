"""RQ carries the keys of mentions from process to process; what is true of a mention, the ledger knows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from redis import Redis, RedisError
from redis.retry import Retry
from rq import Queue, Worker
from rq.serializers import JSONSerializer
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from bot import jobs
from bot.bench import Bench
from bot.jobs import JOBS, PHOTOS, REPLIES, Job
from bot.logs import Log
from bot.stop import Pauses, Stop, end_by

__all__ = [
    "JOBS",
    "PHOTOS",
    "REPLIES",
    "Line",
    "RedisUnavailable",
    "Stop",
    "age",
    "connect",
    "end_by",
    "enqueue",
    "line",
    "serve",
    "until_stopped",
    "waiting",
]

RECONNECT_SECONDS = 1

# Whoever waits for a job looks up so often, and hears that it has to stop.
WAIT_SECONDS = 0.5
# The longest that a loop may stand still: for a job, and some more.
TURN_SECONDS = jobs.TIMEOUT_SECONDS + 20

TIMEOUT_SECONDS = 5

EXAMPLE = "redis://:PASSWORD@HOST:6379/0, with the password percent-encoded (/ is %2F)"

# So Redis says that its disk takes nothing, even to a ping, or that its memory is full.
FULL = ("MISCONF", "OOM")

LOG = Log(__name__)


class RedisUnavailable(Exception):
    """Redis does not answer, or refuses us; the message says where and why, never the password."""


def connect(url: str) -> Redis:
    """Connect to Redis or Valkey, and make sure that it answers.

    Raises:
        RedisUnavailable: It does not.
    """
    try:
        _want_host(url)
        redis = Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=Retry(Pauses(cap=1, base=0.05), 3),
        )
        redis.ping()
    except ValueError:
        # Neither the address nor the error is shown: a password that breaks an address would be in both.
        raise RedisUnavailable(f"REDIS_URL is no address of a Redis; it looks like {EXAMPLE}") from None
    except RedisError as error:
        if str(error).startswith(FULL):
            raise RedisUnavailable(
                f"Redis at {_without_password(url)} cannot write ({error}): make room on its disk"
            ) from None
        raise RedisUnavailable(
            f"Redis at {_without_password(url)} does not answer ({error}); start it, or correct REDIS_URL"
        ) from None
    return redis


def _want_host(url: str) -> None:
    # Without one, the library takes this machine: redis:6379 is not what somebody meant by that.
    if not url.startswith("unix://") and not urlsplit(url).hostname:
        raise ValueError("no host")


def enqueue(redis: Redis, queue: str, *keys: str) -> None:
    """Hand mentions on to the next process, in one round trip."""
    with redis.pipeline() as pipeline:
        jobs.put(pipeline, queue, keys)
        pipeline.execute()


def waiting(redis: Redis, keys: Iterable[str]) -> dict[str, str]:
    """Each mention, and the queue in which a job for it waits, "" for none."""
    places = {job_id.partition("-")[0]: name for name in JOBS for job_id in _queue(redis, name).job_ids}
    return {key: places.get(jobs.digest(key), "") for key in keys}


@dataclass(frozen=True)
class Line:
    """Who stands in one queue."""

    jobs: int
    age: float | None
    """Seconds for which the first one has waited; None for an empty queue."""
    workers: int
    """Processes that work on it."""


def line(redis: Redis, name: str) -> Line:
    """Look at one queue."""
    queue = _queue(redis, name)
    return Line(queue.count, age(redis, name), Worker.count(queue=queue))


def age(redis: Redis, name: str) -> float | None:
    """Seconds for which the first job in a queue has waited; None for an empty queue. Two reads."""
    first = next(iter(_queue(redis, name).get_jobs(length=1)), None)
    since = first.enqueued_at if first else None
    return (datetime.now(UTC) - since).total_seconds() if since else None


def serve(redis: Redis, queue: str, do: Callable[[str], None], turned: Callable[[], None]) -> None:
    """Do what there is to do for one queue's mentions, one after the other, until SIGTERM or SIGINT.

    Args:
        redis: Where the queue is.
        queue: Its name.
        do: Called with each mention's key.
        turned: Called whenever the loop has turned, at least every TURN_SECONDS.
    """
    bench = Bench(redis, queue)

    def shift(stop: Stop) -> None:
        turned()
        bench.sign_on()
        while not stop.requested:
            turned()
            bench.beat()
            # One at a time: all others are for whoever is free first.
            if job := next(iter(bench.take(1)), None):
                _do(bench, job, do)
            else:
                bench.wait(WAIT_SECONDS)
        # Not when Redis has gone away: it forgets by itself who does not beat.
        bench.sign_off()

    until_stopped(queue, shift)


def _do(bench: Bench, job: Job, do: Callable[[str], None]) -> None:
    try:
        with UnixSignalDeathPenalty(jobs.TIMEOUT_SECONDS, JobTimeoutException):  # type: ignore[no-untyped-call]
            do(job.key)
    except RedisError:
        bench.forget([job])
        raise
    # Whatever one mention brings about, the next one gets its turn; the ledger knows that this one has not.
    except Exception as error:
        LOG.exception("job failed", key=job.key)
        bench.fail(job, error)
    else:
        bench.end([job])


def until_stopped(queue: str, shift: Callable[[Stop], object], stop: Stop | None = None) -> None:
    """Work on a queue until SIGTERM or SIGINT.

    Args:
        queue: Its name, for the log.
        shift: Works until it is told to stop, or until Redis goes away; then the next one begins as soon as
            Redis is back.
        stop: Who is told.
    """
    stop = stop or Stop()
    stop.listen()
    LOG.info("ready", queue=queue)
    while not stop.requested:
        # Without Redis, nobody can sign on, work, or sign off.
        with contextlib.suppress(RedisError):
            shift(stop)
        if not stop.requested:
            LOG.warning("Redis is away", queue=queue)
            time.sleep(RECONNECT_SECONDS)
    LOG.info("stopped", queue=queue)


def _queue(redis: Redis, name: str) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer)


def _without_password(url: str) -> str:
    """A password may hold anything, an @ or a / too: all up to the last @ goes."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
