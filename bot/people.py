"""What the ledger holds about people: each is known by a hash alone."""

from __future__ import annotations

import hashlib
import secrets
import time
from typing import Any

from redis import Redis

from bot import keys, transitions
from bot.messages import Mention

FORGOTTEN_SECONDS = 24 * 3600
CONFIRMATIONS, CONFIRMATION_SECONDS = 5, 3600


class People:
    """The authors of all mentions in one ledger."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._unsay = redis.register_script(transitions.UNSAY)

    def hash(self, network: str, author: str) -> str:
        """A name for an author that tells nothing without this ledger's own salt."""
        salt: Any = self._redis.get(keys.SALT)
        if salt is None:
            self._redis.set(keys.SALT, secrets.token_hex(16), nx=True)
            salt = self._redis.get(keys.SALT)
        return hashlib.blake2b(f"{network}:{author.lower()}".encode(), key=salt, digest_size=8).hexdigest()

    def has_stopped(self, network: str, author: str) -> bool:
        """Whether an author has said stop, and not start since."""
        return bool(self._redis.sismember(keys.STOPPED, self.hash(network, author)))

    def replies(self, network: str, author: str) -> dict[str, str]:
        """The author's mentions that were answered, and the id of each reply that still stands."""
        mentions: Any = self._redis.smembers(keys.author(self.hash(network, author)))
        with self._redis.pipeline(transaction=False) as pipeline:
            for key in mentions:
                pipeline.hget(keys.record(key.decode()), "reply_id")
            found = pipeline.execute()
        return {key.decode(): reply.decode() for key, reply in zip(mentions, found, strict=True) if reply}

    def note_deleted(self, key: str) -> None:
        """Write down that the reply to a mention is gone; the mention stays answered."""
        self._unsay(keys=[keys.record(key)])

    def may_hear_of_deletion(self, mention: Mention) -> bool:
        """Whether it may be confirmed to an author that something was deleted: a few times an hour.

        Deleting itself has no limit, but a network takes so many posts and no more.
        """
        name = keys.quota(f"author:{self.hash(mention.network, mention.author)}:deletions")
        now = time.time()
        with self._redis.pipeline() as pipeline:
            pipeline.zremrangebyscore(name, "-inf", now - CONFIRMATION_SECONDS)
            # Whoever tries again is not counted again.
            pipeline.zadd(name, {mention.key: now}, nx=True)
            pipeline.expire(name, CONFIRMATION_SECONDS)
            pipeline.zrank(name, mention.key)
            *_, rank = pipeline.execute()
        return rank is not None and int(rank) < CONFIRMATIONS

    def forget(self, network: str, author: str) -> int:
        """Delete all that is held about an author, answered or not, but for the wish to be left alone.

        Returns:
            How many mentions there were.
        """
        name = self.hash(network, author)
        index = keys.author(name)
        mentions: Any = self._redis.smembers(index)
        quotas = list(self._redis.scan_iter(keys.quota(f"author:{name}:*")))
        shared = [quota for quota in self._redis.scan_iter(keys.quota("*:*")) if not quota.endswith(b":told")]
        with self._redis.pipeline() as pipeline:
            for key in mentions:
                record = keys.record(key.decode())
                pipeline.delete(record)
                # The poller re-reads the last minute: what is forgotten must not be answered anew.
                pipeline.hset(record, mapping={"state": "skipped", "reason": "forgotten"})
                pipeline.expire(record, FORGOTTEN_SECONDS)
                pipeline.zrem(keys.OPEN, key)
            for quota in shared if mentions else ():
                pipeline.zrem(quota, *mentions)
            pipeline.delete(index, *quotas)
            pipeline.execute()
        return len(mentions)
