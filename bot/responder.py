"""Queue "replies" → network: puts a verdict into words and posts it, once."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache

from redis import Redis

from bot import queues, wording
from bot.ledger import Ledger, Record
from bot.logs import Log
from bot.messages import Mention, Verdict
from bot.networks import connect
from bot.networks.base import Network, NetworkError, Posted
from bot.settings import NetworkSettings, load

LOG = Log(__name__)

# Together with the network's own time-outs, all tries fit into an RQ job.
TRIES = 3
PAUSE_SECONDS = 2
LONGEST_PAUSE_SECONDS = 10


class Responder:
    """Posts replies on one network."""

    def __init__(self, network: Network, redis: Redis) -> None:
        self._network = network
        self._ledger = Ledger(redis)

    def respond(self, key: str) -> None:
        """Answer the mention with this key, if that has not been done."""
        # "sending" too: a responder that died there may or may not have posted, and asking again with
        # the same idempotency key is how one finds out.
        if not self._ledger.advance(key, ["ready", "sending"], "sending"):
            return
        record = self._ledger.read(key)
        if record is None or record.verdict is None:
            return
        try:
            posted = self._post(record.mention, record.verdict)
        except NetworkError as error:
            self._ledger.advance(key, ["sending"], "failed", reason=str(error))
            LOG.error("not answered", key=key, error=str(error))
            return
        self._ledger.advance(key, ["sending"], "sent", reply_id=posted.id, reply_url=posted.url)
        _log_answer(key, record)

    def _post(self, mention: Mention, verdict: Verdict) -> Posted:
        reply = wording.reply_to(mention, verdict, room=self._network.room(mention))
        for attempt in range(1, TRIES):
            try:
                return self._network.reply(mention, reply)
            except NetworkError as error:
                if error.permanent:
                    raise
                pause = error.retry_after or PAUSE_SECONDS * 2 ** (attempt - 1)
                if pause > LONGEST_PAUSE_SECONDS:
                    raise
                LOG.warning("trying again", key=mention.key, error=str(error), attempt=attempt, pause=pause)
                time.sleep(pause)
        return self._network.reply(mention, reply)


def respond(key: str) -> None:
    """The RQ job: answer one mention."""
    responder().respond(key)


@cache
def responder() -> Responder:
    """This process's responder, logged in once."""
    settings = load(NetworkSettings, os.environ)
    return Responder(connect(settings), queues.connect(settings.redis_url.get_secret_value()))


def _log_answer(key: str, record: Record) -> None:
    best = record.verdict.best if record.verdict else None
    fields: dict[str, object] = {"key": key, "score": best.score} if best else {"key": key}
    LOG.info("answered", **fields, seconds=(datetime.now(UTC) - record.mention.created_at).total_seconds())
