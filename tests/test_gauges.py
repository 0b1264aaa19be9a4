"""What Redis knows, as a scrape of the listener shows it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from redis import Redis

from bot import queues
from bot.alarms import raise_alarm
from bot.backlog import CHUNK, backlog
from bot.beats import beat, rest
from bot.budget import Budget
from bot.gauges import MOST_READ, Gauges
from bot.ledger import Ledger
from bot.messages import Mention, Verdict
from bot.monitor import impatient
from bot.overview import look
from bot.record import Admission, Limit
from bot.settings import ListenerSettings, load
from tests.monitored import families, free_port

ALL = Limit("all", 10, 3600)
JUDGED = Verdict(notice="help")


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


def hear(ledger: Ledger, *numbers: int) -> list[str]:
    mentions = [
        Mention(network="mastodon", id=str(number), author="ann", created_at=datetime.now(UTC))
        for number in numbers
    ]
    ledger.ingest("mastodon", [Admission(mention, limits=(ALL,)) for mention in mentions])
    return [mention.key for mention in mentions]


def hear_many(ledger: Ledger, count: int) -> None:
    for start in range(0, count, CHUNK):
        mentions = [
            Mention(network="x", id=str(number), author="ann", created_at=datetime.now(UTC))
            for number in range(start, min(count, start + CHUNK))
        ]
        ledger.ingest("x", [Admission(mention) for mention in mentions])


def found(
    redis: Redis, *, networks: tuple[str, ...] = ("mastodon",)
) -> dict[str, dict[tuple[str, ...], float]]:
    """Each gauge's values, by the values of its labels."""
    registry = CollectorRegistry()
    registry.register(Gauges(redis, networks, load(ListenerSettings, {"BOT_PER_HOUR": "10"})))
    metrics = families(generate_latest(registry).decode())
    return {
        name.removeprefix("deepselfie_"): {
            tuple(sample.labels.values()): sample.value for sample in metric.samples
        }
        for name, metric in metrics.items()
    }


def test_open_mentions_are_counted_by_state(redis: Redis, ledger: Ledger) -> None:
    hear(ledger, 1, 2)
    assert ledger.claim(hear(ledger, 3)[0], ["new"], "judging")

    assert found(redis)["mentions_open"] == {("new",): 2, ("judging",): 1, ("ready",): 0, ("sending",): 0}


def test_mentions_that_are_over_are_counted_by_outcome(redis: Redis, ledger: Ledger) -> None:
    lease = ledger.claim(hear(ledger, 1)[0], ["new"], "judging")
    assert lease
    ledger.close(lease, "sent")

    assert found(redis)["mentions"] == {("sent",): 1, ("skipped",): 0, ("expired",): 0, ("failed",): 0}


def test_a_count_never_falls_not_even_when_a_failed_mention_is_retried(redis: Redis, ledger: Ledger) -> None:
    key = hear(ledger, 1)[0]
    lease = ledger.claim(key, ["new"], "judging")
    assert lease
    ledger.close(lease, "failed")
    ledger.retry(key)

    assert found(redis)["mentions"]["failed",] == 1
    assert look(redis, 60).ended["failed"] == 0


def test_a_parked_mention_is_counted(redis: Redis, ledger: Ledger) -> None:
    judging = ledger.claim(hear(ledger, 1)[0], ["new"], "judging")
    assert judging
    ledger.pass_on(judging, "ready", {"verdict": JUDGED.model_dump_json()})
    sending = ledger.claim(judging.key, ["ready"], "sending")
    assert sending
    assert found(redis)["mentions_parked"] == {(): 0}

    ledger.pass_on(sending, "sending")

    assert found(redis)["mentions_parked"] == {(): 1}


def test_the_oldest_mention_has_an_age(redis: Redis, ledger: Ledger) -> None:
    assert found(redis)["oldest_mention_seconds"] == {(): 0}
    key = hear(ledger, 1)[0]
    hear(ledger, 2)
    redis.hset(f"deepselfie:mention:{key}", "deadline", time.time() + 60 - 90)

    assert 90 <= found(redis)["oldest_mention_seconds"][()] < 120


def test_a_mention_that_is_tried_again_has_not_waited_since_it_failed(redis: Redis, ledger: Ledger) -> None:
    key = hear(ledger, 1)[0]
    lease = ledger.claim(key, ["new"], "judging")
    assert lease
    ledger.close(lease, "failed")
    redis.hset(f"deepselfie:mention:{key}", mapping={"new": 1, "judging": 2, "failed": 3})
    ledger.retry(key)

    assert found(redis)["oldest_mention_seconds"][()] < 30


def test_a_mention_whose_worker_died_has_waited_since_it_was_heard(redis: Redis, ledger: Ledger) -> None:
    key = hear(ledger, 1)[0]
    redis.hincrbyfloat(f"deepselfie:mention:{key}", "deadline", -40)
    assert ledger.claim(key, ["new"], "judging")
    redis.zadd("deepselfie:open", {key: 0})
    assert ledger.rescue({key: ""}) == {key: "photos"}

    assert 40 <= found(redis)["oldest_mention_seconds"][()] < 60


def test_queues_have_a_length_an_age_and_workers(redis: Redis) -> None:
    queues.enqueue(redis, queues.PHOTOS, "mastodon:1")

    scraped = found(redis)

    assert scraped["queue_jobs"] == {("photos",): 1, ("replies",): 0}
    assert 0 < scraped["queue_age_seconds"]["photos",] < 30
    assert scraped["queue_age_seconds"]["replies",] == 0
    assert scraped["queue_workers"] == {("photos",): 0, ("replies",): 0}


def test_streams_and_polls_have_a_silence(redis: Redis) -> None:
    beat(redis, "mastodon stream")
    beat(redis, "mastodon poll")

    silences = found(redis)["silence_seconds"]

    assert set(silences) == {("mastodon", "stream"), ("mastodon", "poll")}
    assert all(0 <= seconds < 30 for seconds in silences.values())


def test_what_is_not_meant_to_be_heard_is_not_silent(redis: Redis) -> None:
    beat(redis, "mastodon stream")
    beat(redis, "x poll")
    rest(redis, "mastodon stream")

    assert found(redis)["silence_seconds"] == {}


def test_alarms_are_shown_while_they_are_raised(redis: Redis) -> None:
    assert found(redis)["alarm"] == {}

    raise_alarm(redis, "mastodon stream", "it is refused")

    assert found(redis)["alarm"] == {("mastodon stream",): 1}


def test_the_replies_of_this_hour_are_counted_down(redis: Redis, ledger: Ledger) -> None:
    hear(ledger, 1, 2, 3)

    assert found(redis, networks=("mastodon", "x"))["replies_left"] == {("mastodon",): 7, ("x",): 10}


def test_what_was_accepted_an_hour_ago_counts_no_more(redis: Redis, ledger: Ledger) -> None:
    hear(ledger, 1)
    redis.zadd("deepselfie:quota:all:mastodon:3600", {"mastodon:1": time.time() - 3700})

    assert found(redis)["replies_left"] == {("mastodon",): 10}


def test_cost_and_budget_are_told_in_dollars(redis: Redis) -> None:
    with Budget(redis, "x", Decimal(5), Decimal(50)).spending(Decimal("1.5")):
        pass

    scraped = found(redis)

    assert scraped["cost_dollars"] == {("x", "day"): 1.5, ("x", "month"): 1.5}
    assert scraped["budget_dollars"] == {("x", "day"): 5, ("x", "month"): 50}


def test_of_a_redis_that_is_away_that_is_all_there_is_to_tell(redis: Redis) -> None:
    assert found(redis)["redis_up"] == {(): 1}

    with impatient(f"redis://127.0.0.1:{free_port()}/0") as away:
        assert found(away) == {"redis_up": {(): 0}}


@pytest.fixture
def many(redis: Redis, ledger: Ledger) -> Redis:
    hear_many(ledger, 1000)
    return redis


def test_a_scrape_with_a_thousand_open_mentions_takes_a_tenth_of_a_second(many: Redis) -> None:
    def seconds() -> float:
        begin = time.perf_counter()
        assert found(many)["mentions_open"]["new",] == 1000
        return time.perf_counter() - begin

    assert min(seconds() for _ in range(5)) < 0.1


def commands(redis: Redis) -> dict[str, int]:
    stats: Any = redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()}


def test_a_scrape_costs_redis_one_short_read_a_mention_and_a_dozen_others(many: Redis) -> None:
    many.config_resetstat()

    found(many)

    spent = commands(many)
    assert spent.pop("hmget") == 1000
    others = {name: calls for name, calls in spent.items() if name not in {"config|resetstat", "info"}}
    assert sum(others.values()) <= 20, others


def test_of_very_many_open_mentions_some_stand_for_all(redis: Redis, ledger: Ledger) -> None:
    hear_many(ledger, 2 * MOST_READ)
    redis.config_resetstat()

    assert found(redis)["mentions_open"]["new",] == 2 * MOST_READ
    assert commands(redis)["hmget"] == MOST_READ


def test_status_reads_them_all(redis: Redis, ledger: Ledger) -> None:
    hear_many(ledger, MOST_READ + 1)

    assert backlog(redis, 60).open["new"] == MOST_READ + 1


def test_a_mention_that_is_over_before_it_is_read_is_left_out(redis: Redis, ledger: Ledger) -> None:
    hear(ledger, 1)
    redis.zadd("deepselfie:open", {"mastodon:9": 0})

    waiting = backlog(redis, 60)

    assert waiting.open == {"new": 1, "judging": 0, "ready": 0, "sending": 0}
    assert waiting.oldest_key == "mastodon:1"
