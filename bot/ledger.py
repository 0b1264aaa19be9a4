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

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from redis import Redis
from redis.client import Pipeline

from bot import keys, scripts, transitions
from bot.chaos import without
from bot.messages import APOLOGY, Verdict
from bot.people import People
from bot.record import Admission, Fate, Lease, Policy, Record, State, record_from

LEASE_SECONDS = 4.0
# How long a queued mention may wait for somebody to claim it before the sweeper looks after it.
GRACE_SECONDS = 3.0
# A photo that ends the process that looks at it does so again: after two there is no third.
JUDGE_TRIES = 2
SWEEP_BATCH = 500

Fields = Mapping[str, str | float]
NOTHING: Fields = {}


class Ledger:
    """The records of all mentions, and how far each network has been read."""

    def __init__(self, redis: Redis, policy: Policy | None = None) -> None:
        self._redis = redis
        self._policy = policy or Policy()
        self.people = People(redis)
        self._ingest = redis.register_script(transitions.INGEST)
        self._claim = redis.register_script(transitions.CLAIM)
        self._renew = redis.register_script(transitions.RENEW)
        self._settle = redis.register_script(transitions.SETTLE)
        self._rescue = redis.register_script(transitions.RESCUE)
        self._retry = redis.register_script(transitions.RETRY)

    @property
    def redis(self) -> Redis:
        """Where it is kept."""
        return self._redis

    @property
    def policy(self) -> Policy:
        """What the operator has decided about time."""
        return self._policy

    def ingest(
        self, network: str, admissions: Sequence[Admission], cursor: str | None = None
    ) -> dict[str, Fate]:
        """Write mentions down, count each against its limits, and advance the network's cursor.

        Returns:
            What became of those that were unknown so far, by key.
        """
        names = [keys.record(""), keys.OPEN, keys.COUNTS, keys.cursor(network), keys.STOPPED]
        policy = self._policy
        arguments: list[Any] = ["" if without("cursor") else cursor or "", GRACE_SECONDS]
        arguments += [policy.promise_seconds, policy.retention_seconds]
        arguments += [json.dumps(self._entry(admission)) for admission in admissions]
        fresh = self._ingest(keys=names, args=arguments)
        return {key.decode(): Fate(queue.decode(), reason.decode()) for key, queue, reason in fresh}

    def _entry(self, admission: Admission) -> dict[str, Any]:
        """An admission as the script reads it."""
        mention = admission.mention
        author = self.people.hash(mention.network, mention.author)
        groups = {"author": author, "thread": f"{mention.network}:{mention.thread or mention.id}"}
        return {
            "key": mention.key,
            "record": keys.record(mention.key),
            "author": author,
            "index": keys.author(author),
            "mention": mention.model_dump_json(exclude_defaults=True),
            "command": mention.command or "",
            "skip": admission.skip,
            "verdict": _json(admission.verdict),
            "limits": [
                {
                    "name": keys.quota(f"{limit.of}:{groups.get(limit.of, mention.network)}:{limit.seconds}"),
                    "most": limit.most,
                    "seconds": limit.seconds,
                    "reason": limit.reason,
                    "excess": _json(limit.excess),
                }
                for limit in admission.limits
            ],
        }

    def claim(self, key: str, leave: Sequence[State], enter: State) -> Lease | None:
        """Take a mention on for one step; None if somebody else has, or it is past that step."""
        return _lease(key, enter, self._claim(_names(key), (key, enter, LEASE_SECONDS, *leave)))

    def claim_all(self, keys: Sequence[str], leave: Sequence[State], enter: State) -> dict[str, Lease]:
        """Take mentions on for one step, in one round trip.

        Returns:
            The leases of those that nobody else has, and that are not past that step.
        """
        calls = [(_names(key), [key, enter, LEASE_SECONDS, *leave]) for key in keys]
        with self._redis.pipeline(transaction=False) as pipeline:
            scripts.call(pipeline, self._claim, calls)
            leases = [_lease(key, enter, it) for key, it in zip(keys, pipeline.execute(), strict=True)]
        return {lease.key: lease for lease in leases if lease}

    def renew(self, lease: Lease) -> bool:
        """Hold on to a lease; False if it is void."""
        return self.renew_all([lease])[0]

    def renew_all(self, leases: Sequence[Lease]) -> list[bool]:
        """Hold on to leases, in one round trip; False for each that is void."""
        with self._redis.pipeline(transaction=False) as pipeline:
            calls = [(_names(lease.key), [lease.key, lease.token, LEASE_SECONDS]) for lease in leases]
            scripts.call(pipeline, self._renew, calls)
            return [bool(renewed) for renewed in pipeline.execute()]

    def pass_on(
        self, lease: Lease, enter: State, fields: Fields = NOTHING, *, after: float = GRACE_SECONDS
    ) -> bool:
        """Finish a step whose mention stays open; the sweeper looks after it in `after` seconds.

        Returns:
            Whether the lease was still valid; if not, nothing has changed.
        """
        return self._settled(lease, enter, ["open", after], fields)

    def pass_all_on(self, pipeline: Pipeline, enter: State, done: Sequence[tuple[Lease, Fields]]) -> None:
        """Do as `pass_on` does for many mentions, when the pipeline is executed: their results come first."""
        scripts.call(
            pipeline, self._settle, [self._settling(*one, enter, ["open", GRACE_SECONDS]) for one in done]
        )

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
        found: Any = self._redis.zrange(keys.OPEN, "-inf", now, byscore=True, offset=0, num=SWEEP_BATCH)
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
        calls = [(_names(key), [key, *rest, queue]) for key, queue in overdue.items()]
        with self._redis.pipeline(transaction=False) as pipeline:
            scripts.call(pipeline, self._rescue, calls)
            queues = [queue.decode() for queue in pipeline.execute()]
        return {key: queue for key, queue in zip(overdue, queues, strict=True) if queue}

    def retry(self, key: str) -> str:
        """Open a failed mention again.

        Returns:
            The queue it has to be put into; "" if it has not failed, or its author has been answered.
        """
        arguments = (key, GRACE_SECONDS, self._policy.promise_seconds)
        queue: bytes = self._retry(_names(key), arguments)
        return queue.decode()

    def read(self, key: str) -> Record | None:
        """Everything known of a mention; None if it is unknown or past its retention."""
        fields: Any = self._redis.hgetall(keys.record(key))
        return record_from(fields) if fields else None

    def cursor(self, network: str) -> str | None:
        """How far a network has been read; None at the very first start."""
        value: Any = self._redis.get(keys.cursor(network))
        return value.decode() if value else None

    def open(self) -> Iterator[tuple[str, Record]]:
        """Every mention that is not over yet."""
        for key, _ in self._redis.zscan_iter(keys.OPEN):
            if record := self.read(key.decode()):
                yield key.decode(), record

    def failed(self) -> Iterator[str]:
        """Keys of all mentions that have failed."""
        for name in self._redis.scan_iter(f"{keys.record('')}*"):
            if self._redis.hget(name, "state") == b"failed":
                yield name.decode().removeprefix(keys.record(""))

    def counts(self) -> dict[str, int]:
        """How many mentions ended how since the ledger began; `retried`: of the failed ones."""
        fields: Any = self._redis.hgetall(keys.COUNTS)
        return {name.decode(): int(value) for name, value in fields.items()}

    def _settled(self, lease: Lease, enter: State, how: list[Any], fields: Fields) -> bool:
        return bool(self._settle(*self._settling(lease, fields, enter, how)))

    def _settling(self, lease: Lease, fields: Fields, enter: State, how: list[Any]) -> scripts.Call:
        token = "" if without("fencing") else lease.token
        pairs = [part for pair in fields.items() for part in pair]
        return _names(lease.key), [lease.key, token, lease.state, enter, *how, *pairs]


def _lease(key: str, state: State, claimed: Any) -> Lease | None:
    """What the script that claims a mention answers, as a lease."""
    if not claimed:
        return None
    token, tries, before = claimed
    fields = dict(zip(before[::2], before[1::2], strict=True))
    return Lease(key, state, token, tries, record_from(fields))


def _names(key: str) -> list[str]:
    return [keys.record(key), keys.OPEN, keys.COUNTS]


def _json(verdict: Verdict | None) -> str:
    return verdict.model_dump_json(exclude_defaults=True) if verdict else ""
