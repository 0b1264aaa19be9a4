"""What happened to each mention: the one truth, kept in Redis.

    skipped ◄── ingest ──► new ──────► judging ──► ready ──────► sending ──► sent
                            ▲             │          ▲              │  ▲ │
                            └── crashed ──┘          └── not sent ──┘  └─┘ unknown: look it up first

A mention whose worker crashed twice, or that is late, becomes ready with an apology in place of a verdict; it
ends as `failed` or `expired` in place of `sent`. Where silence is wanted, late ones end as `expired` at once.
What a network refuses for good ends as `failed`.

A worker or responder claims a mention under a token and for a few seconds, its lease, which it renews while
it works. When the lease runs out the sweeper voids the token: whoever held it, and wakes up later, finds that
nothing it wants to write is taken. Every transition is one Lua script (transitions.py).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis import Redis

from bot import transitions
from bot.chaos import without
from bot.messages import APOLOGY, Mention
from bot.record import Lease, Policy, Record, State, record_from

PREFIX = "deepselfie:"
OPEN = f"{PREFIX}open"
COUNTS = f"{PREFIX}counts"
SALT = f"{PREFIX}salt"

LEASE_SECONDS = 4.0
# How long a queued mention may wait for somebody to claim it before the sweeper looks after it.
GRACE_SECONDS = 3.0
# A photo that ends the process that looks at it does so again: after two there is no third.
JUDGE_TRIES = 2
SWEEP_BATCH = 500
FORGOTTEN_SECONDS = 24 * 3600

Fields = Mapping[str, str | float]
NOTHING: Fields = {}


class Ledger:
    """The records of all mentions, and how far each network has been read."""

    def __init__(self, redis: Redis, policy: Policy | None = None) -> None:
        self._redis = redis
        self._policy = policy or Policy()
        self._ingest = redis.register_script(transitions.INGEST)
        self._claim = redis.register_script(transitions.CLAIM)
        self._renew = redis.register_script(transitions.RENEW)
        self._settle = redis.register_script(transitions.SETTLE)
        self._rescue = redis.register_script(transitions.RESCUE)
        self._retry = redis.register_script(transitions.RETRY)

    def ingest(
        self, network: str, mentions: Sequence[tuple[Mention, str]], cursor: str | None = None
    ) -> list[str]:
        """Write mentions down, each with the reason to skip it or "", and advance the network's cursor.

        Returns:
            The keys of those that were unknown so far.
        """
        names = [_record(""), OPEN, COUNTS, _cursor(network)]
        policy = self._policy
        arguments: list[Any] = ["" if without("cursor") else cursor or "", GRACE_SECONDS]
        arguments += [policy.promise_seconds, policy.retention_seconds]
        for mention, skip in mentions:
            author = self.author_hash(network, mention.author)
            names += [_record(mention.key), _author(author)]
            arguments += [mention.key, mention.model_dump_json(exclude_defaults=True), skip, author]
        return [key.decode() for key in self._ingest(keys=names, args=arguments)]

    def claim(self, key: str, leave: Sequence[State], enter: State) -> Lease | None:
        """Take a mention on for one step; None if somebody else has, or it is past that step."""
        claimed = self._claim(keys=_names(key), args=(key, enter, LEASE_SECONDS, *leave))
        if not claimed:
            return None
        token, tries, before = claimed
        fields = dict(zip(before[::2], before[1::2], strict=True))
        return Lease(key, enter, token, tries, record_from(fields))

    def renew(self, lease: Lease) -> bool:
        """Hold on to a lease; False if it is void."""
        return bool(self._renew(_names(lease.key), (lease.key, lease.token, LEASE_SECONDS)))

    def pass_on(
        self, lease: Lease, enter: State, fields: Fields = NOTHING, *, after: float = GRACE_SECONDS
    ) -> bool:
        """Finish a step whose mention stays open; the sweeper looks after it in `after` seconds.

        Returns:
            Whether the lease was still valid; if not, nothing has changed.
        """
        return self._settled(lease, enter, ["open", after], fields)

    def close(self, lease: Lease, enter: State, fields: Fields = NOTHING) -> bool:
        """Finish a step after which the mention is over.

        Returns:
            Whether the lease was still valid; if not, nothing has changed.
        """
        return self._settled(lease, enter, ["close", self._policy.retention_seconds], fields)

    def overdue(self) -> list[str]:
        """Keys of open mentions that somebody has to look after now, the longest overdue first."""
        seconds, microseconds = self._redis.time()
        now = seconds + microseconds / 1e6
        found: Any = self._redis.zrange(OPEN, "-inf", now, byscore=True, offset=0, num=SWEEP_BATCH)
        return [key.decode() for key in found]

    def rescue(self, overdue: Mapping[str, str]) -> dict[str, str]:
        """Look after overdue mentions: void their leases, and judge what has to happen next.

        Args:
            overdue: Each mention's key, and the queue in which a job for it still waits, "" for none.

        Returns:
            Each mention that has to be enqueued, and in which queue.
        """
        policy, apology = self._policy, APOLOGY.model_dump_json()
        when_late = apology if policy.apologise else ""
        rest = (GRACE_SECONDS, JUDGE_TRIES, when_late, apology, policy.retention_seconds)
        with self._redis.pipeline(transaction=False) as pipeline:
            for key, queue in overdue.items():
                self._rescue(_names(key), (key, *rest, queue), client=pipeline)
            queues = [queue.decode() for queue in pipeline.execute()]
        return {key: queue for key, queue in zip(overdue, queues, strict=True) if queue}

    def retry(self, key: str) -> bool:
        """Open a failed mention again; False if it has not failed, or its author has been answered."""
        arguments = (key, GRACE_SECONDS, self._policy.promise_seconds)
        return bool(self._retry(_names(key), arguments))

    def read(self, key: str) -> Record | None:
        """Everything known of a mention; None if it is unknown or past its retention."""
        fields: Any = self._redis.hgetall(_record(key))
        return record_from(fields) if fields else None

    def cursor(self, network: str) -> str | None:
        """How far a network has been read; None at the very first start."""
        value: Any = self._redis.get(_cursor(network))
        return value.decode() if value else None

    def author_hash(self, network: str, author: str) -> str:
        """A name for an author that tells nothing without this ledger's own salt."""
        salt: Any = self._redis.get(SALT)
        if salt is None:
            self._redis.set(SALT, secrets.token_hex(16), nx=True)
            salt = self._redis.get(SALT)
        return hashlib.blake2b(f"{network}:{author.lower()}".encode(), key=salt, digest_size=8).hexdigest()

    def forget(self, network: str, author: str) -> int:
        """Delete all that is held about an author, answered or not.

        Returns:
            How many mentions there were.
        """
        index = _author(self.author_hash(network, author))
        keys: Any = self._redis.smembers(index)
        with self._redis.pipeline() as pipeline:
            for key in keys:
                name = _record(key.decode())
                pipeline.delete(name)
                # The poller re-reads the last minute: what is forgotten must not be answered anew.
                pipeline.hset(name, mapping={"state": "skipped", "reason": "forgotten"})
                pipeline.expire(name, FORGOTTEN_SECONDS)
                pipeline.zrem(OPEN, key)
            pipeline.delete(index)
            pipeline.execute()
        return len(keys)

    def open(self) -> Iterator[tuple[str, Record]]:
        """Every mention that is not over yet."""
        for key, _ in self._redis.zscan_iter(OPEN):
            if record := self.read(key.decode()):
                yield key.decode(), record

    def failed(self) -> Iterator[str]:
        """Keys of all mentions that have failed."""
        for name in self._redis.scan_iter(f"{_record('')}*"):
            if self._redis.hget(name, "state") == b"failed":
                yield name.decode().removeprefix(_record(""))

    def counts(self) -> dict[str, int]:
        """How many mentions ended how, since the ledger began."""
        fields: Any = self._redis.hgetall(COUNTS)
        return {name.decode(): int(value) for name, value in fields.items()}

    def _settled(self, lease: Lease, enter: State, how: list[Any], fields: Fields) -> bool:
        token = "" if without("fencing") else lease.token
        pairs = [part for pair in fields.items() for part in pair]
        arguments = [lease.key, token, lease.state, enter, *how, *pairs]
        return bool(self._settle(keys=_names(lease.key), args=arguments))


def _names(key: str) -> list[str]:
    return [_record(key), OPEN, COUNTS]


def _record(key: str) -> str:
    return f"{PREFIX}mention:{key}"


def _author(author: str) -> str:
    return f"{PREFIX}author:{author}"


def _cursor(network: str) -> str:
    return f"{PREFIX}cursor:{network}"
