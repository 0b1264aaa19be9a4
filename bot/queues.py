"""RQ carries the keys of mentions from process to process; what is true of a mention, the ledger knows."""

from __future__ import annotations

from redis import Redis, RedisError
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from bot.logs import Log

PHOTOS = "photos"
REPLIES = "replies"

# Jobs are named by strings, so that who enqueues one need not import what it runs.
JOBS = {PHOTOS: "worker.judge.judge", REPLIES: "bot.responder.respond"}

# A job that runs longer has missed the one-minute promise anyway.
JOB_TIMEOUT_SECONDS = 55
FAILED_JOB_TTL_SECONDS = 7 * 24 * 3600

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
    Queue(queue, connection=redis, serializer=JSONSerializer).enqueue(
        JOBS[queue],
        key,
        description=f"{queue} {key}",
        job_timeout=JOB_TIMEOUT_SECONDS,
        result_ttl=0,
        failure_ttl=FAILED_JOB_TTL_SECONDS,
    )


def serve(redis: Redis, queue: str) -> None:
    """Run one queue's jobs in this process, one after the other, until SIGTERM or SIGINT.

    No fork a job: whatever the process has loaded stays loaded.
    """
    worker = SimpleWorker([queue], connection=redis, serializer=JSONSerializer, log_job_description=False)
    LOG.info("ready", queue=queue)
    try:
        worker.work(logging_level="WARNING")
    except RedisError as error:
        # Told to stop while Redis is away, RQ cannot sign off.
        LOG.warning("stopped without Redis", queue=queue, error=str(error))
    else:
        LOG.info("stopped", queue=queue)


def _without_password(url: str) -> str:
    """A password may hold anything, an @ or a / too: all up to the last @ goes."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
