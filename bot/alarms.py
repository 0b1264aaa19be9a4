"""What the operator has to look at now: logged when it begins, shown by `status` until it is over."""

from __future__ import annotations

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from redis import Redis, RedisError

from bot.keys import ALARMS
from bot.logs import Log

LOG = Log(__name__)


@dataclass(frozen=True)
class Alarm:
    """Something that does not mend itself."""

    seconds: float
    """For how long it has been so."""
    words: str


def raise_alarm(redis: Redis, name: str, words: str, *, is_logged: bool = False) -> None:
    """Raise an alarm ("mastodon stream"); one that is raised already stays as it is. Redis may be away."""
    try:
        fresh = redis.hsetnx(ALARMS, name, json.dumps({"since": time.time(), "words": words}))
    except RedisError:
        fresh = True
    if fresh and not is_logged:
        LOG.error("alarm", name=name, words=words)


def clear_alarms(redis: Redis, *names: str) -> None:
    """Say that these, if they were raised, are over."""
    if redis.hdel(ALARMS, *names):
        LOG.info("alarm over", name=" or ".join(names))


def clear_unled(redis: Redis, led: Collection[str]) -> None:
    """Begin anew on all networks that nobody listens to: what is still wrong is raised again.

    Alarms of the others are their listeners' business. Those of a network that the bot has left go here, too.
    """
    found: Any = redis.hkeys(ALARMS)
    if unled := [name for name in found if name.decode().partition(" ")[0] not in led]:
        redis.hdel(ALARMS, *unled)


def alarms(redis: Redis) -> dict[str, Alarm]:
    """All alarms that are raised."""
    found: Any = redis.hgetall(ALARMS)
    raised = {name.decode(): json.loads(value) for name, value in sorted(found.items())}
    now = time.time()
    return {name: Alarm(max(0.0, now - each["since"]), each["words"]) for name, each in raised.items()}
