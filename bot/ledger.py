"""What happened to each mention: the one truth, kept in Redis.

    new ──► judging ──► ready ──► sending ──► sent
     │         │          │          │
     │         └──────────┴──────────┴──────► failed
     └ skipped: not answered on purpose

Each transition is one Lua script, so that of two processes only one makes it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis

from bot.messages import Mention, Verdict

State = Literal["new", "judging", "ready", "sending", "sent", "skipped", "failed"]

RETENTION_SECONDS = 30 * 24 * 3600

PREFIX = "deepselfie:"

_INGEST = """
-- KEYS: one record. ARGV: state, mention, seconds since the epoch, retention, reason.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1], 'mention', ARGV[2], 'new', ARGV[3])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'reason', ARGV[5]) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""

_ADVANCE = """
-- KEYS: one record. ARGV: next state, seconds since the epoch, number of states to leave from,
-- those states, then field, value, field, value …
local state = redis.call('HGET', KEYS[1], 'state')
for i = 4, 3 + ARGV[3] do
  if ARGV[i] == state then
    redis.call('HSET', KEYS[1], 'state', ARGV[1], ARGV[1], ARGV[2], unpack(ARGV, 4 + ARGV[3]))
    return 1
  end
end
return 0
"""


@dataclass(frozen=True)
class Record:
    """All that is known of one mention."""

    state: State
    mention: Mention
    verdict: Verdict | None
    reply_id: str | None
    reply_url: str | None
    reason: str | None
    times: dict[str, float]
    """When each state was entered, in seconds since the epoch, the first first."""


class Ledger:
    """The records of all mentions, and how far each network has been read."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._ingest = redis.register_script(_INGEST)
        self._advance = redis.register_script(_ADVANCE)

    def ingest(self, mention: Mention, *, skip: str = "") -> bool:
        """Write a mention down, as `new` or, with the reason to skip it, as `skipped`.

        Returns:
            Whether it was unknown so far.
        """
        state = "skipped" if skip else "new"
        arguments: list[str | float] = [
            state,
            mention.model_dump_json(),
            time.time(),
            RETENTION_SECONDS,
            skip,
        ]
        return bool(self._ingest(keys=[_record(mention.key)], args=arguments))

    def advance(self, key: str, leave: Sequence[State], enter: State, **fields: str) -> bool:
        """Move a mention on to state `enter`, if its state is one of `leave`, and set fields of its record.

        Returns:
            Whether it was this call that moved it.
        """
        pairs = [part for pair in fields.items() for part in pair]
        arguments: list[str | float] = [enter, time.time(), len(leave), *leave, *pairs]
        return bool(self._advance(keys=[_record(key)], args=arguments))

    def read(self, key: str) -> Record | None:
        """Everything known of a mention; None if it is unknown or past its retention."""
        fields = _decoded(self._redis.hgetall(_record(key)))
        if not fields:
            return None
        verdict = fields.pop("verdict", None)
        return Record(
            state=fields.pop("state"),
            mention=Mention.model_validate_json(fields.pop("mention")),
            verdict=Verdict.model_validate_json(verdict) if verdict else None,
            reply_id=fields.pop("reply_id", None),
            reply_url=fields.pop("reply_url", None),
            reason=fields.pop("reason", None),
            times=dict(
                sorted(((name, float(value)) for name, value in fields.items()), key=lambda pair: pair[1])
            ),
        )

    def cursor(self, network: str) -> str | None:
        """How far a network has been read; None at the very first start."""
        value: Any = self._redis.get(f"{PREFIX}cursor:{network}")
        return value.decode() if value else None

    def set_cursor(self, network: str, cursor: str) -> None:
        """Remember how far a network has been read. Every mention up to there must be in the ledger."""
        self._redis.set(f"{PREFIX}cursor:{network}", cursor)


def _record(key: str) -> str:
    return f"{PREFIX}mention:{key}"


def _decoded(fields: Any) -> dict[str, Any]:
    return {name.decode(): value.decode() for name, value in fields.items()}
