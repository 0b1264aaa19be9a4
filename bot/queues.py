"""RQ carries the keys of mentions from process to process; what is true of a mention, the ledger knows."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import FrameType

from redis import Redis, RedisError
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

from bot.logs import Log

PHOTOS = "photos"
REPLIES = "replies"

# Jobs are named by strings, so that who enqueues one need not import what it runs.
JOBS = {PHOTOS: "worker.judge.judge", REPLIES: "bot.responder.respond"}

# A job that runs longer has missed the one-minute promise anyway.
JOB_TIMEOUT_SECONDS = 55
# The ledger knows what failed; RQ's own list is only for looking at the last ones.
FAILED_JOB_TTL_SECONDS = 3600

RECONNECT_SECONDS = 1

TIMEOUT_SECONDS = 5

EXAMPLE = "redis://:PASSWORD@HOST:6379/0, with the password percent-encoded (/ is %2F)"

LOG = Log(__name__)


class RedisUnavailable(Exception):
    """Redis does not answer, or refuses us; the message says where and why, never the password."""


def connect(url: str) -> Redis:
    """Connect to Redis or Valkey, and make sure that it answers.

    Raises:
        RedisUnavailable: It does not.
    """
    try:
        redis = Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=Retry(ExponentialWithJitterBackoff(cap=1, base=0.05), 3),
        )
        redis.ping()
    except ValueError:
        # Neither the address nor the error is shown: a password that breaks an address would be in both.
        raise RedisUnavailable(f"REDIS_URL is no address of a Redis; it looks like {EXAMPLE}") from None
    except RedisError as error:
        raise RedisUnavailable(
            f"Redis at {_without_password(url)} does not answer ({error}); start it, or correct REDIS_URL"
        ) from None
    return redis


def enqueue(redis: Redis, queue: str, key: str) -> None:
    """Hand a mention on to the next process."""
    _queue(redis, queue).enqueue(
        JOBS[queue],
        key,
        # A new id each time: a job that a dead worker took must not share one with its successor.
        job_id=f"{_digest(key)}-{secrets.token_hex(4)}",
        description=f"{queue} {key}",
        job_timeout=JOB_TIMEOUT_SECONDS,
        result_ttl=0,
        failure_ttl=FAILED_JOB_TTL_SECONDS,
    )


def waiting(redis: Redis, keys: Iterable[str]) -> dict[str, str]:
    """Each mention, and the queue in which a job for it waits, "" for none."""
    places = {job_id.partition("-")[0]: name for name in JOBS for job_id in _queue(redis, name).job_ids}
    return {key: places.get(_digest(key), "") for key in keys}


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


def serve(redis: Redis, queue: str) -> None:
    """Run one queue's jobs in this process, one after the other, until SIGTERM or SIGINT.

    No fork a job: whatever the process has loaded stays loaded. When Redis goes away RQ's worker ends; here
    another one takes its place as soon as Redis is back.
    """
    stop = _Stop()
    LOG.info("ready", queue=queue)
    while not stop.requested:
        # Without Redis, a worker can neither be made, nor sign on, nor sign off.
        with contextlib.suppress(RedisError):
            _Worker([queue], redis, stop).work(logging_level="ERROR")
        stop.listen()
        if not stop.requested:
            LOG.warning("Redis is away", queue=queue)
            time.sleep(RECONNECT_SECONDS)
    LOG.info("stopped", queue=queue)


class _Stop:
    """Whether SIGTERM or SIGINT came, now or while one of RQ's workers was listening to them."""

    def __init__(self) -> None:
        self.requested = False
        self.listen()

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._request)

    def _request(self, *_: object) -> None:
        self.requested = True


class _Worker(SimpleWorker):
    """RQ's worker without fork, that remembers having been told to stop."""

    max_connection_wait_time = RECONNECT_SECONDS

    def __init__(self, names: list[str], redis: Redis, stop: _Stop) -> None:
        super().__init__(names, connection=redis, serializer=JSONSerializer, log_job_description=False)
        self._stop = stop

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        self._stop.requested = True
        super().request_stop(signum, frame)  # type: ignore[no-untyped-call]


def _queue(redis: Redis, name: str) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer)


def _digest(key: str) -> str:
    """RQ allows letters, digits, - and _ in a job's id; networks allow anything in a post's."""
    return hashlib.blake2b(key.encode(), digest_size=8).hexdigest()


def _without_password(url: str) -> str:
    """A password may hold anything, an @ or a / too: all up to the last @ goes."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
