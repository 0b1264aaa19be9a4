from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from bot import queues
from bot.keeper import MARGIN_SECONDS, RENEW_SECONDS, Keeper
from bot.ledger import LEASE_SECONDS, Ledger
from bot.messages import Mention
from bot.processes import Processes
from bot.record import Admission, Lease
from bot.valkey import start_valkey
from tests.clock import let_pass
from tests.waiting import eventually

MENTION = Mention(network="mastodon", id="7", author="ann", created_at=datetime.now(UTC))
KEY = MENTION.key


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


@pytest.fixture
def lease(ledger: Ledger) -> Lease:
    return claimed(ledger)


def claimed(ledger: Ledger) -> Lease:
    ledger.ingest("mastodon", [Admission(MENTION)])
    lease = ledger.claim(KEY, ["new"], "judging")
    assert lease
    return lease


def test_a_lease_is_kept_for_as_long_as_somebody_holds_it(ledger: Ledger, redis: Redis, lease: Lease) -> None:
    with Keeper(ledger).holding(lease, time.monotonic()) as hold:
        first = hold.until
        for _ in range(2):
            # All but the last second of the lease has gone; a renewal is a second away at most.
            let_pass(redis, KEY, LEASE_SECONDS - 0.5)
            assert eventually(lambda: not due_within(redis, LEASE_SECONDS - 1))

        assert ledger.overdue() == []
        assert hold.until > first
        assert hold.is_certain


def due_within(redis: Redis, seconds: float) -> bool:
    score = redis.zscore("deepselfie:open", KEY)
    assert score is not None
    return float(score) < time.time() + seconds


def test_a_lease_that_is_let_go_is_not_renewed(ledger: Ledger, redis: Redis, lease: Lease) -> None:
    with Keeper(ledger).holding(lease, time.monotonic()):
        pass
    due = redis.zscore("deepselfie:open", KEY)

    time.sleep(RENEW_SECONDS * 1.5)

    assert redis.zscore("deepselfie:open", KEY) == due
    let_pass(redis, KEY, LEASE_SECONDS)
    assert ledger.overdue() == [KEY]


def test_one_keeper_keeps_several_leases(ledger: Ledger, redis: Redis) -> None:
    keeper = Keeper(ledger)
    mentions = [MENTION.model_copy(update={"id": str(number)}) for number in range(3)]
    ledger.ingest("mastodon", [Admission(mention) for mention in mentions])
    leases = [ledger.claim(mention.key, ["new"], "judging") for mention in mentions]

    with (
        keeper.holding(leases[0], time.monotonic()),  # type: ignore[arg-type]
        keeper.holding(leases[1], time.monotonic()),  # type: ignore[arg-type]
    ):
        for mention in mentions:
            let_pass(redis, mention.key, LEASE_SECONDS + 0.5)

        assert eventually(lambda: ledger.overdue() == [mentions[2].key])


def test_a_lease_that_somebody_else_took_over_is_not_renewed(
    ledger: Ledger, redis: Redis, lease: Lease
) -> None:
    with Keeper(ledger).holding(lease, time.monotonic()) as hold:
        let_pass(redis, KEY, LEASE_SECONDS + 1)
        ledger.rescue({KEY: ""})
        assert ledger.claim(KEY, ["new"], "judging")
        until, due = hold.until, redis.zscore("deepselfie:open", KEY)

        time.sleep(RENEW_SECONDS * 1.5)

        assert (hold.until, redis.zscore("deepselfie:open", KEY)) == (until, due)


def test_whoever_was_stopped_past_the_lease_is_not_certain_of_it(ledger: Ledger, lease: Lease) -> None:
    with Keeper(ledger).holding(lease, time.monotonic()) as hold:
        assert hold.is_certain
        # As after SIGSTOP and SIGCONT: the clock went on, and no renewal did.
        hold.until -= LEASE_SECONDS

        assert not hold.is_certain


def test_certainty_ends_before_the_lease_does(ledger: Ledger, lease: Lease) -> None:
    with Keeper(ledger).holding(lease, time.monotonic()) as hold:
        hold.until = time.monotonic() + MARGIN_SECONDS / 2

        assert not hold.is_certain


def test_a_lease_counts_from_before_it_was_asked_for(ledger: Ledger, lease: Lease) -> None:
    # The answer to the claim may have been under way for long.
    with Keeper(ledger).holding(lease, time.monotonic() - LEASE_SECONDS) as hold:
        assert not hold.is_certain


class Outage:
    """A Redis of its own, that can go away and come back."""

    def __init__(self, directory: Path) -> None:
        self._processes = Processes(lambda _name, _event: None)
        self._directory = directory
        self.url = start_valkey(self._processes, directory)

    def begin(self) -> None:
        self._processes.kill("redis")

    def end(self) -> None:
        start_valkey(self._processes, self._directory)

    def stop(self) -> None:
        self._processes.stop()


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[Outage]:
    outage = Outage(tmp_path)
    yield outage
    outage.stop()


def test_a_keeper_outlives_an_outage_of_redis(outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    redis = queues.connect(outage.url)
    ledger = Ledger(redis)
    lease = claimed(ledger)

    with Keeper(ledger).holding(lease, time.monotonic()) as hold:
        outage.begin()
        assert eventually(lambda: "lease not renewed" in caplog.text)
        until = hold.until
        outage.end()

        # Nobody has taken over: the lease is as good as before.
        assert eventually(lambda: hold.until > until)
        assert ledger.pass_on(lease, "ready")
    redis.close()
