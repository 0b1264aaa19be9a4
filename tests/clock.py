"""Time passes in the ledger while nobody waits."""

from __future__ import annotations

from typing import Any, get_args

from redis import Redis

from bot.keys import OPEN, PREFIX, quota
from bot.record import State

TIMES = {b"lease", b"deadline", *(state.encode() for state in get_args(State))}


def let_pass(redis: Redis, key: str, seconds: float) -> None:
    """Make all that the ledger knows of a mention older.

    The scripts' clock is Redis' own, which no test can set, and a lease lasts four seconds, which no unit
    test should sleep. To the scripts, a record whose every time lies further back is one that has waited.
    """
    name = f"{PREFIX}mention:{key}"
    fields: Any = redis.hgetall(name)
    older = {field: float(value) - seconds for field, value in fields.items() if field in TIMES}
    if older:
        redis.hset(name, mapping=older)
    if redis.zscore(OPEN, key) is not None:
        redis.zincrby(OPEN, -seconds, key)


def let_quotas_pass(redis: Redis, seconds: int) -> None:
    """Make all that was counted older, and each author who was told that it is enough forget that sooner."""
    for name in redis.scan_iter(quota("*")):
        if name.endswith(b":told"):
            redis.expire(name, int(redis.ttl(name)) - seconds)
            continue
        members: Any = redis.zrange(name, 0, -1)
        for member in members:
            redis.zincrby(name, -seconds, member)
