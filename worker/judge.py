"""Queue "photos" → ledger: the RQ job that has one mention's photos judged."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import cache

from redis import Redis

from bot import queues
from bot.ledger import Ledger, Record
from bot.logs import Log
from bot.messages import Declined, Judged, Verdict
from bot.settings import load
from model.judge import DEFAULT_FILE, Judge
from worker.download import Downloader, Limits
from worker.examiner import Examiner
from worker.settings import WorkerSettings

LOG = Log(__name__)


class Worker:
    """Takes mentions out of the ledger and puts verdicts in."""

    def __init__(self, examiner: Examiner, redis: Redis) -> None:
        self._examiner = examiner
        self._ledger = Ledger(redis)
        self._redis = redis

    def judge(self, key: str) -> None:
        """Judge the mention with this key, if that has not been done, and have it answered."""
        if not self._ledger.advance(key, ["new", "judging"], "judging"):
            return
        record = self._ledger.read(key)
        if record is None:
            return
        verdict = self._verdict(record)
        if self._ledger.advance(key, ["judging"], "ready", verdict=verdict.model_dump_json()):
            queues.enqueue(self._redis, queues.REPLIES, key)

    def _verdict(self, record: Record) -> Verdict:
        key = record.mention.key
        try:
            verdict, seconds = self._examiner.examine(record.mention)
        # Whatever a photo brings about, its author gets an answer and the next mention gets its turn.
        except Exception:
            LOG.exception("not judged", key=key)
            return self._examiner.apology()
        scores = [round(opinion.score, 3) for opinion in verdict.opinions if isinstance(opinion, Judged)]
        declined = [opinion.reason for opinion in verdict.opinions if isinstance(opinion, Declined)]
        LOG.info("judged", key=key, scores=scores, declined=declined, **asdict(seconds))
        return verdict


def judge(key: str) -> None:
    """The RQ job: judge one mention."""
    worker().judge(key)


@cache
def worker() -> Worker:
    """This process's worker, its model loaded once.

    Raises:
        JudgeRefused: WORKER_MODEL names no judge.
        RedisUnavailable: Redis does not answer.
        SettingsError: A setting is wrong.
    """
    settings = load(WorkerSettings, os.environ)
    allowed = settings.private_addresses == "allow"
    if allowed:
        LOG.warning(
            "WORKER_PRIVATE_ADDRESSES=allow: anyone can make this worker open addresses of your own network"
        )
    downloader = Downloader(
        Limits(settings.max_megabytes, settings.download_seconds, private_addresses=allowed)
    )
    judge = Judge(settings.model or DEFAULT_FILE)
    LOG.info("judge loaded", name=judge.card.name, version=judge.card.version)
    examiner = Examiner(judge, downloader, max_megapixels=settings.max_megapixels)
    return Worker(examiner, queues.connect(settings.redis_url.get_secret_value()))
