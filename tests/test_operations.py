"""`deepselfie status`, `retry` and `forget`, as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from redis import Redis

from bot import queues
from bot.alarms import raise_alarm
from bot.beats import beat
from bot.budget import Budget
from bot.ledger import Ledger
from bot.messages import Mention
from bot.record import Admission


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


def hear(ledger: Ledger, number: int, author: str = "ann") -> str:
    mention = Mention(network="mastodon", id=str(number), author=author, created_at=datetime.now(UTC))
    ledger.ingest("mastodon", [Admission(mention)])
    return mention.key


def fail(ledger: Ledger, key: str, **fields: str) -> None:
    lease = ledger.claim(key, ["new"], "judging")
    assert lease
    assert ledger.close(lease, "failed", fields)


def deepselfie(redis_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env=os.environ | {"REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        check=False,
    )


def test_status_tells_a_program_everything(redis: Redis, redis_url: str, ledger: Ledger) -> None:
    key = hear(ledger, 1)
    queues.enqueue(redis, queues.PHOTOS, key)
    fail(ledger, hear(ledger, 2))
    beat(redis, "mastodon poll")

    done = deepselfie(redis_url, "status", "--json")

    found = json.loads(done.stdout)
    assert found["open"] == {"new": 1, "judging": 0, "ready": 0, "sending": 0}
    assert found["ended"] == {"sent": 0, "skipped": 0, "expired": 0, "failed": 1}
    assert found["oldest_key"] == key
    assert 0 <= found["oldest"] < 30
    assert found["queues"]["photos"]["jobs"] == 1
    assert 0 <= found["queues"]["photos"]["age"] < 30
    assert found["queues"]["replies"] == {"jobs": 0, "age": None, "workers": 0}
    assert 0 <= found["silences"]["mastodon poll"] < 30


def test_status_tells_what_a_network_costs(redis: Redis, redis_url: str) -> None:
    with Budget(redis, "x", Decimal(5), Decimal(50)).spending(Decimal("1.5")):
        pass

    shown = deepselfie(redis_url, "status").stdout

    assert "x budget: $1.50 of $5.00 today, $1.50 of $50.00 this month" in shown


def test_status_counts_what_may_have_been_answered_as_parked(redis_url: str, ledger: Ledger) -> None:
    judging = ledger.claim(hear(ledger, 1), ["new"], "judging")
    assert judging
    ledger.pass_on(judging, "ready")
    sending = ledger.claim(judging.key, ["ready"], "sending")
    assert sending
    ledger.pass_on(sending, "sending")

    assert json.loads(deepselfie(redis_url, "status", "--json").stdout)["parked"] == 1


def test_status_reads_well(redis_url: str, ledger: Ledger) -> None:
    hear(ledger, 1)

    lines = deepselfie(redis_url, "status").stdout.splitlines()

    assert lines[0] == "open       new 1  judging 0  ready 0  sending 0"
    assert lines[3].startswith("oldest     mastodon:1, ")
    assert lines[4] == "photos     0 waiting; 0 at work"


def test_status_shows_alarms_before_all_else(redis: Redis, redis_url: str) -> None:
    raise_alarm(redis, "mastodon stream", "it is refused")

    first = deepselfie(redis_url, "status").stdout.splitlines()[0]
    found = json.loads(deepselfie(redis_url, "status", "--json").stdout)["alarms"]

    assert first.startswith("ALARM      mastodon stream, for ")
    assert first.endswith(" s: it is refused")
    assert found["mastodon stream"]["words"] == "it is refused"
    assert 0 <= found["mastodon stream"]["seconds"] < 30


def test_a_failed_mention_is_retried(redis: Redis, redis_url: str, ledger: Ledger) -> None:
    fail(ledger, key := hear(ledger, 1))

    done = deepselfie(redis_url, "retry", key)

    assert (done.returncode, done.stdout) == (0, "mastodon:1: on its way again\n")
    record = ledger.read(key)
    assert record
    assert record.state == "new"
    assert redis.llen("rq:queue:photos") == 1


def test_what_was_answered_is_not_retried(redis_url: str, ledger: Ledger) -> None:
    fail(ledger, key := hear(ledger, 1), reply_id="9")

    done = deepselfie(redis_url, "retry", key, "mastodon:0")

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "mastodon:1: refused, it is failed, its author has been answered",
        "mastodon:0: refused, it is not in the ledger",
    ]


def test_all_that_failed_is_retried_at_once(redis_url: str, ledger: Ledger) -> None:
    fail(ledger, first := hear(ledger, 1))
    fail(ledger, second := hear(ledger, 2))
    fail(ledger, hear(ledger, 3), reply_id="9")

    done = deepselfie(redis_url, "retry", "--failed")

    assert done.returncode == 0
    assert set(done.stdout.splitlines()) == {f"{key}: on its way again" for key in (first, second)}


def test_where_nothing_is_to_be_retried_that_is_said(redis_url: str, ledger: Ledger) -> None:
    fail(ledger, hear(ledger, 1), reply_id="9")

    done = deepselfie(redis_url, "retry", "--failed")

    assert (done.returncode, done.stdout) == (0, "no failed mention is without an answer\n")


def test_retry_wants_to_know_what(redis_url: str) -> None:
    assert "name either some mentions or --failed" in deepselfie(redis_url, "retry").stderr


def test_somebody_is_forgotten(redis_url: str, ledger: Ledger) -> None:
    hers = [hear(ledger, number, "Ann@example.social") for number in (1, 2)]
    his = hear(ledger, 3, "bob")

    done = deepselfie(redis_url, "forget", "@ann@example.social")

    assert done.stdout == "@ann@example.social: 2 mentions forgotten\n"
    forgotten = [ledger.read(key) for key in hers]
    assert [(record.mention, record.reason) for record in forgotten if record] == [(None, "forgotten")] * 2
    kept = ledger.read(his)
    assert kept
    assert kept.mention


def test_who_is_not_found_to_be_forgotten_may_have_another_name(redis_url: str, ledger: Ledger) -> None:
    hear(ledger, 1, "ann")

    done = deepselfie(redis_url, "forget", "@ann@example.social")

    assert done.stdout == "@ann@example.social: 0 mentions forgotten\n"
    assert "own Mastodon server is known without it (@ann, not @ann@example.social)" in done.stderr


def test_who_was_forgotten_is_not_answered_again(redis_url: str, ledger: Ledger) -> None:
    fail(ledger, key := hear(ledger, 1), reply_id="9")
    deepselfie(redis_url, "forget", "ann")

    hear(ledger, 1)  # the poller reads the last minute again

    record = ledger.read(key)
    assert record
    assert record.state == "skipped"
