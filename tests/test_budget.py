"""What a network may cost."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from redis import Redis

from bot.budget import Budget, spent
from bot.networks.base import NetworkError

CENT = Decimal("0.01")


def budget(redis: Redis, daily: str = "1", monthly: str = "5") -> Budget:
    return Budget(redis, "x", Decimal(daily), Decimal(monthly))


def spend(purse: Budget, price: Decimal = CENT, error: Exception | None = None) -> None:
    with purse.spending(price):
        if error:
            raise error


def test_what_is_spent_is_counted_for_the_day_and_the_month(redis: Redis) -> None:
    spend(budget(redis))
    spend(budget(redis))

    found = spent(redis)["x"]

    assert (found.today, found.daily, found.month, found.monthly) == (0.02, 1, 0.02, 5)


@pytest.mark.parametrize(
    ("daily", "monthly", "name"), [("0.02", "1", "X_DAILY_BUDGET"), ("1", "0.02", "X_MONTHLY_BUDGET")]
)
def test_over_the_budget_nothing_goes_out_until_the_window_is_over(
    redis: Redis, daily: str, monthly: str, name: str
) -> None:
    purse = budget(redis, daily, monthly)
    spend(purse)
    purse.check()
    spend(purse)

    for call in (purse.check, lambda: spend(purse)):
        with pytest.raises(NetworkError, match=rf"of \$0.02 is used up.* raise {name}") as caught:
            call()
        assert (caught.value.trouble, caught.value.permanent) == ("out_of_credit", False)
        now = datetime.now(UTC)
        rest = 86400 - now.hour * 3600 - now.minute * 60 - now.second
        assert caught.value.retry_after
        assert rest - 1 <= caught.value.retry_after <= rest + 1 + 31 * 86400 * (name == "X_MONTHLY_BUDGET")
    assert spent(redis)["x"].today == 0.02


@pytest.mark.parametrize(("unknown", "cost"), [(False, 0.0), (True, 0.01)])
def test_what_was_certainly_not_done_costs_nothing(redis: Redis, unknown: bool, cost: float) -> None:
    with pytest.raises(NetworkError):
        spend(budget(redis), error=NetworkError("no", unknown=unknown))

    assert spent(redis)["x"].today == spent(redis)["x"].month == cost


def test_many_at_once_never_spend_more_than_there_is(redis: Redis) -> None:
    outcomes: list[str] = []

    def customer() -> None:
        purse = budget(redis, daily="0.05")
        for _ in range(5):
            try:
                spend(purse)
                outcomes.append("bought")
            except NetworkError:
                outcomes.append("refused")

    threads = [threading.Thread(target=customer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes.count("bought") == 5
    assert spent(redis)["x"].today == 0.05


def test_what_is_read_again_on_the_same_day_costs_nothing_again(redis: Redis) -> None:
    purse = budget(redis)

    purse.read("posts", ["1", "2"], CENT)
    purse.read("posts", ["2", "3"], CENT)
    purse.read("users", ["2"], CENT)
    purse.read("posts", [], CENT)

    assert spent(redis)["x"].today == 0.04


def test_nobodys_id_is_kept(redis: Redis) -> None:
    budget(redis).read("users", ["2125251247970713600"], CENT)

    for name in redis.scan_iter("deepselfie:read:*"):
        content: Any = redis.get(name)
        assert b"2125251247970713600" not in content
        assert 0 < int(redis.ttl(name)) <= 2 * 86400
