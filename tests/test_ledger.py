from __future__ import annotations

from datetime import UTC, datetime

import pytest
from redis import Redis

from bot.ledger import Ledger
from bot.messages import Judged, Mention, Verdict

MENTION = Mention(network="mastodon", id="7", author="ann", created_at=datetime.now(UTC))
KEY = MENTION.key
VERDICT = Verdict(opinions=(Judged(score=0.5, label="good"),), judge="test 1")


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


def test_a_mention_is_written_down_once(ledger: Ledger) -> None:
    assert ledger.ingest(MENTION)
    assert not ledger.ingest(MENTION)


def test_what_was_written_is_read_again(ledger: Ledger) -> None:
    ledger.ingest(MENTION)

    record = ledger.read(KEY)

    assert record
    assert (record.state, record.mention, record.verdict) == ("new", MENTION, None)


def test_an_unknown_mention_has_no_record(ledger: Ledger) -> None:
    assert ledger.read("mastodon:0") is None


def test_a_mention_goes_its_way_and_leaves_its_times(ledger: Ledger) -> None:
    ledger.ingest(MENTION)

    assert ledger.advance(KEY, ["new"], "judging")
    assert ledger.advance(KEY, ["judging"], "ready", verdict=VERDICT.model_dump_json())
    assert ledger.advance(KEY, ["ready"], "sending")
    assert ledger.advance(KEY, ["sending"], "sent", reply_id="8", reply_url="http://x/8")

    record = ledger.read(KEY)
    assert record
    assert (record.state, record.verdict, record.reply_id) == ("sent", VERDICT, "8")
    assert list(record.times) == ["new", "judging", "ready", "sending", "sent"]
    assert sorted(record.times.values()) == list(record.times.values())


def test_of_two_processes_only_one_moves_a_mention_on(ledger: Ledger) -> None:
    ledger.ingest(MENTION)

    assert [ledger.advance(KEY, ["new"], "judging") for _ in range(2)] == [True, False]


def test_an_unknown_mention_cannot_be_moved(ledger: Ledger) -> None:
    assert not ledger.advance("mastodon:0", ["new"], "judging")


def test_a_skipped_mention_keeps_the_reason(ledger: Ledger) -> None:
    ledger.ingest(MENTION, skip="too old")

    record = ledger.read(KEY)
    assert record
    assert (record.state, record.reason) == ("skipped", "too old")
    assert not ledger.advance(KEY, ["new"], "judging")


def test_a_record_does_not_stay_for_ever(ledger: Ledger, redis: Redis) -> None:
    ledger.ingest(MENTION)

    [name] = redis.keys("deepselfie:mention:*")
    assert 0 < redis.ttl(name) <= 30 * 24 * 3600


def test_each_network_has_its_own_cursor(ledger: Ledger) -> None:
    assert ledger.cursor("mastodon") is None

    ledger.set_cursor("mastodon", "7")

    assert ledger.cursor("mastodon") == "7"
    assert ledger.cursor("x") is None
