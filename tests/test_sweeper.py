from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from bot import queues
from bot.ledger import Ledger
from bot.messages import Mention
from bot.processes import Processes
from bot.record import Admission
from bot.sweeper import Sweeper
from bot.valkey import start_valkey
from tests.clock import let_pass
from tests.network import SECONDS, Network
from tests.waiting import eventually

MENTION = Mention(network="mastodon", id="7", author="ann", created_at=datetime.now(UTC))
KEY = MENTION.key

TOO_LONG = 5


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


@pytest.fixture
def sweeper(redis: Redis, ledger: Ledger) -> Sweeper:
    return Sweeper(redis, ledger)


def hear(ledger: Ledger, mention: Mention = MENTION) -> None:
    ledger.ingest("mastodon", [Admission(mention)])


def waiting(redis: Redis, queue: str = queues.PHOTOS) -> int:
    return int(redis.llen(f"rq:queue:{queue}"))


def test_a_mention_that_never_got_into_its_queue_is_put_there_once(
    redis: Redis, ledger: Ledger, sweeper: Sweeper
) -> None:
    hear(ledger)
    assert sweeper.sweep() == 0
    let_pass(redis, KEY, TOO_LONG)

    assert [sweeper.sweep() for _ in range(3)] == [1, 0, 0]

    assert waiting(redis) == 1
    assert queues.waiting(redis, [KEY]) == {KEY: queues.PHOTOS}


def test_what_still_waits_in_its_queue_is_left_alone(redis: Redis, ledger: Ledger, sweeper: Sweeper) -> None:
    hear(ledger)
    queues.enqueue(redis, queues.PHOTOS, KEY)

    for _ in range(3):
        let_pass(redis, KEY, TOO_LONG)
        assert sweeper.sweep() == 0

    assert waiting(redis) == 1


def test_a_mention_whose_job_was_taken_by_a_worker_that_died_is_enqueued_again(
    redis: Redis, ledger: Ledger, sweeper: Sweeper
) -> None:
    hear(ledger)
    queues.enqueue(redis, queues.PHOTOS, KEY)
    redis.lpop(f"rq:queue:{queues.PHOTOS}")
    assert ledger.claim(KEY, ["new"], "judging")
    let_pass(redis, KEY, TOO_LONG)

    assert sweeper.sweep() == 1

    assert waiting(redis) == 1
    assert ledger.claim(KEY, ["new"], "judging")


def test_a_late_mention_goes_to_the_responder(redis: Redis, ledger: Ledger, sweeper: Sweeper) -> None:
    hear(ledger)
    queues.enqueue(redis, queues.PHOTOS, KEY)
    let_pass(redis, KEY, 61)

    sweeper.sweep()

    assert waiting(redis, queues.REPLIES) == 1


def test_what_a_sweeper_did_not_get_to_enqueue_the_next_one_does(
    redis: Redis, ledger: Ledger, sweeper: Sweeper
) -> None:
    hear(ledger)
    let_pass(redis, KEY, TOO_LONG)
    ledger.rescue({KEY: ""})  # and then it died

    assert sweeper.sweep() == 0
    let_pass(redis, KEY, TOO_LONG)
    assert sweeper.sweep() == 1


def test_several_sweepers_at_once_enqueue_each_mention_once(redis: Redis, ledger: Ledger) -> None:
    mentions = [MENTION.model_copy(update={"id": str(number)}) for number in range(200)]
    for mention in mentions:
        hear(ledger, mention)
        let_pass(redis, mention.key, TOO_LONG)
    together = threading.Barrier(4)

    def sweep() -> None:
        together.wait()
        Sweeper(redis, Ledger(redis)).sweep()

    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert waiting(redis) == len(mentions)
    assert set(queues.waiting(redis, [mention.key for mention in mentions]).values()) == {queues.PHOTOS}


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[tuple[Processes, Path, str]]:
    processes = Processes(lambda _name, _event: None)
    yield processes, tmp_path, start_valkey(processes, tmp_path)
    processes.stop()


@pytest.mark.e2e
def test_sweepers_and_queues_outlive_an_outage_of_redis(
    outage: tuple[Processes, Path, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    valkey, directory, redis_url = outage
    network = Network(tmp_path_factory.mktemp("network"), redis_url)
    try:
        network.processes.deepselfie("responder", ["respond"], network.environment)
        network.processes.wait_for("responder", "ready", SECONDS)
        valkey.kill("redis")
        network.processes.wait_for("responder", "sweep failed", SECONDS)
        network.processes.wait_for("responder", "Redis is away", SECONDS)
        time.sleep(2 * queues.RECONNECT_SECONDS)
        start_valkey(valkey, directory)

        # It is both rescued and answered, by a responder that nobody has started again.
        with queues.connect(redis_url) as redis:
            ledger = Ledger(redis)
            hear(ledger)
            let_pass(redis, KEY, 61)
            assert eventually(lambda: not list(ledger.open()), SECONDS)
            record = ledger.read(KEY)
    finally:
        network.processes.stop()

    assert record
    # There is no post 7 in this network.
    assert (record.state, "404" in (record.reason or "")) == ("failed", True)
