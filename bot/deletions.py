"""When a mention is deleted, so is its reply.

Some streams tell of deletions at once. Whatever they do not tell of is looked up: half a minute after the
answer, and again each time that the answer has become four times as old, until it is more than a day old.
"""

from __future__ import annotations

from typing import Any

from redis import Redis

from bot import keys
from bot.ledger import Ledger
from bot.logs import Log
from bot.networks.base import MISSING_AT_ONCE, Network, NetworkError

LOG = Log(__name__)

WATCHED_SECONDS = 24 * 3600
MENTION_GONE = "its mention is gone"


class Deletions:
    """One network's replies, and whether their mentions still stand.

    Args:
        network: Where they are.
        redis: Where the list of those to look for is.
        ledger: What knows which mention has which reply.
        dry_run: Only log what would be deleted; the bot does it when it runs for real.
    """

    def __init__(self, network: Network, redis: Redis, ledger: Ledger, *, dry_run: bool = False) -> None:
        self._network = network
        self._redis = redis
        self._ledger = ledger
        self._due = keys.answered(network.name)
        self._dry_run = dry_run

    def follow(self, post: str) -> None:
        """Do as somebody did who deleted a post, if it was a mention that has a reply."""
        try:
            self._follow(f"{self._network.name}:{post}")
        except NetworkError as error:
            # It stays on the list, from which the next look takes it.
            LOG.warning("reply not deleted", key=f"{self._network.name}:{post}", error=str(error))

    def look(self) -> None:
        """Look for those mentions that it is time to look for, some at a time."""
        now = self._now()
        found: Any = self._redis.zrange(self._due, "-inf", now, byscore=True, offset=0, num=MISSING_AT_ONCE)
        if not found:
            return
        posts = {key.decode().partition(":")[2]: key.decode() for key in found}
        try:
            gone = self._network.missing(list(posts))
            for post, key in posts.items():
                if post in gone:
                    self._follow(key)
                else:
                    self._look_again(key, now)
        except NetworkError as error:
            LOG.warning("deletions unknown", network=self._network.name, error=str(error))

    def _follow(self, key: str) -> None:
        record = self._ledger.read(key)
        if record and record.reply_id and self._dry_run:
            LOG.info("would delete", key=key, reason=MENTION_GONE)
            self._look_again(key, self._now())
            return
        if record and record.reply_id:
            # In this order, so that whoever dies in between leaves it to be done again.
            self._network.delete(record.reply_id)
            self._ledger.people.note_deleted(key)
            LOG.info("deleted", key=key, reason=MENTION_GONE)
        self._redis.zrem(self._due, key)

    def _look_again(self, key: str, now: float) -> None:
        record = self._ledger.read(key)
        age = now - max(record.times.values()) if record and record.reply_id else WATCHED_SECONDS
        if age >= WATCHED_SECONDS:
            self._redis.zrem(self._due, key)
        else:
            self._redis.zadd(self._due, {key: now + 3 * age}, xx=True)

    def _now(self) -> float:
        seconds, microseconds = self._redis.time()
        return float(seconds + microseconds / 1e6)
