"""What the calls to a network may cost in a day and in a month of UTC, counted in Redis for all processes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from redis import Redis

from bot.keys import PREFIX
from bot.networks.base import NetworkError

BUDGETS = f"{PREFIX}budgets"
# Redis counts whole numbers.
PARTS_OF_A_DOLLAR = 1_000_000
DAY_KEPT = 2 * 24 * 3600
MONTH_KEPT = 33 * 24 * 3600

# KEYS: what was spent on this day, in this month. ARGV: the price, the two limits, for how long the two are
# kept. Adds the price to both and returns 0, or to neither and returns which limit that would pass.
SPEND = """
for i = 1, 2 do
    local spent = tonumber(redis.call('GET', KEYS[i]) or '0') + tonumber(ARGV[1])
    if spent > tonumber(ARGV[1 + i]) then return i end
end
for i = 1, 2 do
    redis.call('INCRBY', KEYS[i], ARGV[1])
    redis.call('EXPIRE', KEYS[i], ARGV[3 + i])
end
return 0
"""

# KEYS: the same, and what was read on this day. ARGV: the price of each, for how long the two are kept, and
# what was read now. A HyperLogLog counts different things without keeping them: nobody's id stays.
READ = """
local known = redis.call('PFCOUNT', KEYS[3])
redis.call('PFADD', KEYS[3], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[3], ARGV[2])
local cost = (redis.call('PFCOUNT', KEYS[3]) - known) * tonumber(ARGV[1])
if cost <= 0 then return end
for i = 1, 2 do
    redis.call('INCRBY', KEYS[i], cost)
    redis.call('EXPIRE', KEYS[i], ARGV[1 + i])
end
"""


@dataclass(frozen=True)
class Spent:
    """What one network has cost, in dollars, and what it may."""

    today: float
    daily: float
    month: float
    monthly: float


class Budget:
    """The money that one network's calls may cost. Over it, nothing is asked of the network any more.

    Args:
        redis: Where it is counted.
        network: Whose money it is.
        daily: Dollars for a day.
        monthly: Dollars for a month.
    """

    def __init__(self, redis: Redis, network: str, daily: Decimal, monthly: Decimal) -> None:
        self._redis = redis
        self._network = network
        self._limits = (daily, monthly)
        self._spend = redis.register_script(SPEND)
        self._read = redis.register_script(READ)
        redis.hset(BUDGETS, network, f"{daily} {monthly}")

    def check(self) -> None:
        """Make sure that there is money left.

        Raises:
            NetworkError: There is none; out_of_credit, until the day or month is over.
        """
        now = datetime.now(UTC)
        spent: Any = self._redis.mget(_keys(self._network, now))
        for place, (amount, limit) in enumerate(zip(spent, self._limits, strict=True)):
            if int(amount or 0) >= _parts(limit):
                raise self._over(place, now)

    @contextmanager
    def spending(self, price: Decimal) -> Iterator[None]:
        """Take a price before what is done inside; back it comes only if that was certainly not done.

        Raises:
            NetworkError: There is not so much left; out_of_credit, until the day or month is over.
        """
        now = datetime.now(UTC)
        day, month = keys = _keys(self._network, now)
        limits = [_parts(limit) for limit in self._limits]
        passed: Any = self._spend(keys=keys, args=[_parts(price), *limits, DAY_KEPT, MONTH_KEPT])
        if passed:
            raise self._over(passed - 1, now)
        try:
            yield
        except NetworkError as error:
            if not error.unknown:
                self._redis.decrby(day, _parts(price))
                self._redis.decrby(month, _parts(price))
            raise

    def read(self, kind: str, ids: Collection[str], price: Decimal) -> None:
        """Note what was read. A thing that is read again on the same day costs nothing again."""
        if ids and price:
            now = datetime.now(UTC)
            keys = [*_keys(self._network, now), f"{PREFIX}read:{self._network}:{kind}:{now:%Y-%m-%d}"]
            self._read(keys=keys, args=[_parts(price), DAY_KEPT, MONTH_KEPT, *ids])

    def _over(self, place: int, now: datetime) -> NetworkError:
        window = ("day", "month")[place]
        wait = (_ends(now)[place] - now).total_seconds()
        name = f"{self._network.upper()}_{('DAILY', 'MONTHLY')[place]}_BUDGET"
        return NetworkError(
            f"the {window}'s budget of ${self._limits[place]} is used up; nothing is asked of {self._network}"
            f" until the {window} is over (UTC), unless you raise {name} and start the bot again",
            trouble="out_of_credit",
            retry_after=wait,
        )


def spent(redis: Redis) -> Mapping[str, Spent]:
    """What each network that costs something has cost, and may."""
    budgets: Any = redis.hgetall(BUDGETS)
    found = {}
    for network, limits in budgets.items():
        amounts: Any = redis.mget(_keys(network.decode(), datetime.now(UTC)))
        today, month = (int(amount or 0) / PARTS_OF_A_DOLLAR for amount in amounts)
        daily, monthly = map(float, limits.decode().split())
        found[network.decode()] = Spent(today, daily, month, monthly)
    return found


def _keys(network: str, now: datetime) -> list[str]:
    return [f"{PREFIX}spent:{network}:{now:%Y-%m-%d}", f"{PREFIX}spent:{network}:{now:%Y-%m}"]


def _ends(now: datetime) -> tuple[datetime, datetime]:
    """When the day and the month are over."""
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return day + timedelta(days=1), (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _parts(dollars: Decimal) -> int:
    return int(dollars * PARTS_OF_A_DOLLAR)
