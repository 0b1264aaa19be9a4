"""Queue "photos" → ledger: the RQ job that has one mention's photos judged."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import asdict
from functools import cache

from redis import Redis, RedisError

from bot import queues
from bot.chaos import reach
from bot.keeper import Keeper
from bot.ledger import GRACE_SECONDS, Ledger
from bot.logs import Log
from bot.messages import APOLOGY, Declined, Judged
from bot.record import Lease
from bot.settings import load
from model.judge import DEFAULT_FILE, Judge, cores
from worker import decode
from worker.confinement import can_filter
from worker.decode import Decoders
from worker.download import Downloader, Limits
from worker.examiner import Examiner
from worker.settings import WorkerSettings

LOG = Log(__name__)

MAX_REASON = 200
# Docker kills a container ten seconds after it was asked to stop.
CLOSE_SECONDS = 7


class Worker:
    """Takes mentions out of the ledger and puts verdicts in, many at a time.

    Args:
        examiner: What looks at the photos.
        redis: Where ledger and queues are.
        at_once: How many mentions are in hand at the most: a slow link holds up its own mention only.
    """

    def __init__(self, examiner: Examiner, redis: Redis, *, at_once: int) -> None:
        self._at_once = at_once
        self._places = threading.Semaphore(at_once)
        self._examiner = examiner
        self._ledger = Ledger(redis)
        self._keeper = Keeper(self._ledger)
        self._redis = redis

    def take_on(self, key: str) -> None:
        """Have the mention with this key judged soon, unless too many are in hand for long."""
        # Nobody has claimed it yet: in as many seconds the sweeper puts it back into its queue.
        if self._places.acquire(timeout=GRACE_SECONDS):
            threading.Thread(target=self._finish, args=(key,), name=key, daemon=True).start()

    def close(self) -> int:
        """Finish what is in hand, as far as it can be done in some seconds.

        Returns:
            How many mentions are left, which somebody else takes over when their leases run out.
        """
        until = time.monotonic() + CLOSE_SECONDS
        taken = range(self._at_once)
        done = [self._places.acquire(timeout=max(0.0, until - time.monotonic())) for _ in taken]
        return done.count(False)

    def _finish(self, key: str) -> None:
        try:
            self.judge(key)
        except RedisError as error:
            # The lease runs out, and the sweeper gives the mention to somebody who can reach Redis.
            LOG.warning("not judged now", key=key, error=str(error))
        except Exception:
            LOG.exception("not judged now", key=key)
        finally:
            self._places.release()

    def judge(self, key: str) -> None:
        """Judge the mention with this key, if nobody else does or has, and have it answered."""
        reach("judge started")
        since = time.monotonic()
        lease = self._ledger.claim(key, ["new"], "judging")
        if lease is None:
            return
        reach("judge claimed")
        with self._keeper.holding(lease, since):
            fields = self._examine(lease)
            reach("examined")
            judged = self._ledger.pass_on(lease, "ready", fields)
        if judged:
            reach("verdict stored")
            queues.enqueue(self._redis, queues.REPLIES, key)
            reach("reply enqueued")

    def _examine(self, lease: Lease) -> dict[str, str | float]:
        """What is to be written into the record."""
        try:
            verdict, seconds = self._examiner.examine(lease.mention)
        # Whatever a photo brings about, its author gets an answer and the next mention gets its turn.
        except Exception as error:
            LOG.exception("not judged", key=lease.key)
            reason = f"{type(error).__name__}: {error}"[:MAX_REASON]
            return {"verdict": APOLOGY.model_dump_json(), "ends": "failed", "reason": reason}
        scores = [round(opinion.score, 3) for opinion in verdict.opinions if isinstance(opinion, Judged)]
        declined = [opinion.reason for opinion in verdict.opinions if isinstance(opinion, Declined)]
        LOG.info("judged", key=lease.key, scores=scores, declined=declined, **asdict(seconds))
        best = verdict.best
        fields: dict[str, str | float] = {"score": best.score, "label": best.label} if best else {}
        return fields | {"verdict": verdict.model_dump_json()}


def judge(key: str) -> None:
    """The RQ job: take one mention on. From here on its lease says who has it, and not RQ."""
    worker().take_on(key)


@cache
def worker() -> Worker:
    """This process's worker, its model loaded once.

    Raises:
        JudgeRefused: WORKER_MODEL names no judge.
        RedisUnavailable: Redis does not answer.
        SettingsError: A setting is wrong.
    """
    settings = load(WorkerSettings, os.environ)
    redis = queues.connect(settings.redis_url.get_secret_value())
    return Worker(_examiner(settings), redis, at_once=settings.mentions_at_once)


def _examiner(settings: WorkerSettings) -> Examiner:
    # First of all, so that decoders get ready while the model is loaded.
    limits = decode.Limits(settings.max_megapixels, settings.decode_seconds)
    decoders = Decoders(settings.decoders or cores(), limits)
    if not can_filter():
        LOG.warning("this system cannot keep decoders from the network; Linux on x86_64 or aarch64 can")
    allowed = settings.private_addresses == "allow"
    if allowed:
        LOG.warning(
            "WORKER_PRIVATE_ADDRESSES=allow: anyone can make this worker open addresses of your own network"
        )
    downloader = Downloader(
        Limits(settings.max_megabytes, settings.download_seconds, private_addresses=allowed),
        contact=settings.contact,
    )
    judge = Judge(settings.model or DEFAULT_FILE)
    LOG.info("judge loaded", name=judge.card.name, version=judge.card.version)
    return Examiner(judge, downloader, decoders, at_once=settings.mentions_at_once)
