"""Redis: does it keep what it is given, and only from whom it should take it?"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from redis import Redis, RedisError

from bot.doctor.finding import Finding, failed, ok, warning
from bot.queues import RedisUnavailable, connect
from bot.settings import Settings, load

# The ledger's scripts ask for ranges in a way that came with it.
OLDEST_VERSION = (6, 2)
ROUND_TRIPS = 20
SLOW_MILLISECONDS = 20
# Of its memory: with more in use, it is about to refuse mentions.
FULL_SHARE = 0.9


def examine(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check the Redis that REDIS_URL names."""
    url = load(Settings, environment).redis_address
    try:
        redis = connect(url)
    except RedisUnavailable as error:
        yield failed("redis", str(error))
        return
    with redis:
        yield _round_trip(redis)
        try:
            found: dict[str, Any] = redis.info("everything")
        except RedisError as error:
            yield warning("redis settings", f"it does not tell them ({error}); see docs/redis.md yourself")
        else:
            yield version(found)
            yield append_only(found)
            yield eviction(found)
            yield memory(found)
    yield access(url)


def _round_trip(redis: Redis) -> Finding:
    times = []
    for _ in range(ROUND_TRIPS):
        since = time.perf_counter()
        redis.ping()
        times.append(time.perf_counter() - since)
    milliseconds = statistics.median(times) * 1000
    words = f"it answers in {milliseconds:.1f} ms"
    if milliseconds > SLOW_MILLISECONDS:
        return warning("redis", f"{words}, and each mention asks a dozen times; put it nearer")
    return ok("redis", words)


def version(found: Mapping[str, Any]) -> Finding:
    """Whether it is new enough. Valkey, too, says which version of Redis it is compatible with."""
    shown = str(found.get("redis_version", "0"))
    if tuple(int(part) for part in shown.split(".")[:2] if part.isdecimal()) < OLDEST_VERSION:
        wanted = ".".join(map(str, OLDEST_VERSION))
        return failed("redis version", f"it is {shown}; the bot needs {wanted} or later, or any Valkey")
    return ok("redis version", shown)


def append_only(found: Mapping[str, Any]) -> Finding:
    """Whether it writes everything down."""
    name = "redis append-only file"
    if not found.get("aof_enabled"):
        return failed(name, "off: when Redis ends, mentions are lost; set appendonly yes (docs/redis.md)")
    if found.get("aof_last_write_status") != "ok":
        return failed(name, "on, but the last write did not succeed; is the disk full? Redis' log says why")
    return ok(name, "on")


def eviction(found: Mapping[str, Any]) -> Finding:
    """Whether it throws nothing away."""
    name, policy = "redis eviction", found.get("maxmemory_policy")
    if policy != "noeviction":
        return failed(
            name, f"maxmemory-policy is {policy}, which throws mentions away; set noeviction (docs/redis.md)"
        )
    return ok(name, "maxmemory-policy is noeviction")


def memory(found: Mapping[str, Any]) -> Finding:
    """Whether there is room for more."""
    name, used, most = "redis memory", found.get("used_memory", 0), found.get("maxmemory", 0)
    words = f"{used / 2**20:.0f} MB in use" + (f" of {most / 2**20:.0f} MB" if most else "")
    if not most or used < most * FULL_SHARE:
        return ok(name, words)
    advice = "raise its maxmemory (with docker compose REDIS_MAXMEMORY and REDIS_MEMORY)"
    full = used >= most
    return (failed if full else warning)(
        name, f"{words}; {'it' if full else 'when full, it'} refuses new mentions: {advice}"
    )


def access(url: str) -> Finding:
    """Whether nobody else gets in: who writes into the queues can run code in the workers."""
    name, place = "redis access", urlsplit(url)
    if place.scheme == "unix":
        return ok(name, "a socket file of this machine")
    addresses = _addresses(place.hostname or "localhost")
    if any(address.is_global for address in addresses):
        return failed(
            name, f"{place.hostname} is a public address; put Redis on a private network (docs/redis.md)"
        )
    if place.password:
        return ok(name, "a private address, and a password")
    words = "no password, and who can write into the queues can run code in the workers; set requirepass"
    here = all(address.is_loopback for address in addresses)
    return warning(name, f"this machine only, but {words}") if here else failed(name, words)


def _addresses(host: str) -> list[Any]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(str(address[0]).partition("%")[0]) for *_, address in found]
