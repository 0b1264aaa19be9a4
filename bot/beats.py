"""Signs of life: what each part of the bot last did, and when, for the operator's eyes."""

from __future__ import annotations

import time
from typing import Any

from redis import Redis

from bot.keys import PREFIX

BEATS = f"{PREFIX}beats"


def beat(redis: Redis, name: str) -> None:
    """Note that `name` ("mastodon poll", "mastodon stream") is alive now."""
    redis.hset(BEATS, name, str(time.time()))


def rest(redis: Redis, name: str) -> None:
    """Note that `name` is not meant to be alive: its silence says nothing."""
    redis.hdel(BEATS, name)


def silences(redis: Redis) -> dict[str, float]:
    """Seconds since each part's last sign of life."""
    found: Any = redis.hgetall(BEATS)
    return {name.decode(): max(0.0, time.time() - float(value)) for name, value in sorted(found.items())}
