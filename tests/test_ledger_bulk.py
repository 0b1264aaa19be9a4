"""What the ledger does for many mentions at once."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from redis import Redis

from bot import jobs, queues
from bot.bench import Bench
from bot.keeper import Keeper
from bot.ledger import LEASE_SECONDS, Ledger
from bot.messages import Mention
from bot.record import Admission, Lease
from tests.clock import let_pass
from tests.trips import counted
from tests.waiting import eventually

MENTIONS = [
    Mention(network="mastodon", id=str(number), author="ann", created_at=datetime.now(UTC))
    for number in range(8)
]
KEYS = [mention.key for mention in MENTIONS]
FIELDS: dict[str, str | float] = {"score": 0.5, "label": "bright"}


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    ledger = Ledger(redis)
    ledger.ingest("mastodon", [Admission(mention) for mention in MENTIONS])
    return ledger


def claim_all(ledger: Ledger) -> list[Lease]:
    return list(ledger.claim_all(KEYS, ["new"], "judging").values())


def test_many_are_claimed_as_one_would_be(ledger: Ledger) -> None:
    theirs = ledger.claim(KEYS[3], ["new"], "judging")
    assert theirs

    leases = ledger.claim_all([*KEYS, "mastodon:unknown"], ["new"], "judging")

    assert list(leases) == [key for key in KEYS if key != KEYS[3]]
    for key, lease in leases.items():
        assert (lease.key, lease.state, lease.token, lease.tries) == (key, "judging", 1, 1)
        assert lease.mention == MENTIONS[KEYS.index(key)]
    assert ledger.claim_all(KEYS, ["new"], "judging") == {}


def test_nothing_is_asked_for_nobody(redis: Redis, ledger: Ledger) -> None:
    trips = counted(redis)

    assert ledger.claim_all([], ["new"], "judging") == {}
    assert ledger.renew_all([]) == []
    assert trips[0] == 0


def test_many_are_renewed_in_one_round_trip(redis: Redis, ledger: Ledger) -> None:
    leases = claim_all(ledger)
    let_pass(redis, KEYS[0], LEASE_SECONDS + 1)
    ledger.rescue({KEYS[0]: ""})
    trips = counted(redis)
    redis.ping()
    before = trips[0]

    assert ledger.renew_all(leases) == [False, *[True] * 7]
    assert trips[0] - before == 1


def test_verdicts_replies_and_jobs_are_one_transaction(redis: Redis, ledger: Ledger) -> None:
    queues.enqueue(redis, queues.PHOTOS, *KEYS)
    bench = Bench(redis, queues.PHOTOS)
    taken = bench.take(8)
    leases = claim_all(ledger)
    let_pass(redis, KEYS[0], LEASE_SECONDS + 1)
    ledger.rescue({KEYS[0]: ""})

    with redis.pipeline() as pipeline:
        ledger.pass_all_on(pipeline, "ready", [(lease, FIELDS) for lease in leases])
        jobs.put(pipeline, queues.REPLIES, KEYS[1:])
        bench.finish(pipeline, taken)
        assert [record.state for record in map(ledger.read, KEYS) if record] == ["new", *["judging"] * 7]
        results = pipeline.execute()

    # Fenced as ever: the first one's lease was void.
    assert results[:8] == [0, *[1] * 7]
    records = [ledger.read(key) for key in KEYS]
    assert [record.state for record in records if record] == ["new", *["ready"] * 7]
    assert [record.label for record in records if record] == [None, *["bright"] * 7]
    assert queues.waiting(redis, KEYS) == {KEYS[0]: "", **dict.fromkeys(KEYS[1:], queues.REPLIES)}
    assert redis.zcard("rq:wip:photos") == 0


def test_a_redis_that_has_forgotten_the_scripts_is_told_them_again(redis: Redis, ledger: Ledger) -> None:
    redis.script_flush()
    leases = claim_all(ledger)
    assert len(leases) == 8
    redis.script_flush()
    assert ledger.renew_all(leases) == [True] * 8
    redis.script_flush()

    with redis.pipeline() as pipeline:
        ledger.pass_all_on(pipeline, "ready", [(lease, FIELDS) for lease in leases])
        assert pipeline.execute() == [1] * 8


def test_a_keeper_keeps_many_leases_until_they_are_released(redis: Redis, ledger: Ledger) -> None:
    keeper = Keeper(ledger)
    holds = keeper.hold(claim_all(ledger), time.monotonic())
    keeper.release(holds[4:])
    for key in KEYS:
        let_pass(redis, key, LEASE_SECONDS + 0.5)

    assert eventually(lambda: sorted(ledger.overdue()) == KEYS[4:])
    assert eventually(lambda: all(hold.is_certain for hold in holds[:4]))
    keeper.release(holds)


def test_handing_in_many_jobs_takes_one_round_trip(redis: Redis) -> None:
    trips = counted(redis)
    redis.ping()
    before = trips[0]

    queues.enqueue(redis, queues.PHOTOS, *KEYS)

    assert trips[0] - before == 1
    assert redis.llen("rq:queue:photos") == 8
