"""Processes that are told to stop: what they have in hand is finished, or goes on elsewhere at once.

No sweeper runs beside these workers: what one of them lost would stay lost.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from redis import Redis
from rq import Queue
from rq.registry import FailedJobRegistry, StartedJobRegistry

from bot import queues
from bot.ledger import LEASE_SECONDS, Ledger
from bot.messages import Mention, Photo
from bot.processes import Processes
from bot.record import Admission, Record
from bot.sandbox.person import Person
from bot.valkey import start_valkey
from tests.events import Log
from tests.judges import brightness_judge
from tests.network import SECONDS, Network
from tests.photos import portrait_jpeg
from tests.waiting import eventually
from tests.web import file, web

pytestmark = pytest.mark.e2e

GRACE_SECONDS = 1.0
# One command to a Redis that does not answer takes longer, for it is tried four times.
WITHOUT_REDIS_SECONDS = 2 * queues.TIMEOUT_SECONDS


class Workers:
    """Worker processes, and mentions for them."""

    def __init__(self, redis: Redis, redis_url: str, model: Path, url: str) -> None:
        self.log = Log()
        self.processes = Processes(self.log)
        self.ledger = Ledger(redis)
        self._redis = redis
        self._url = url
        self._environment = os.environ | {"LOG_FORMAT": "json", "REDIS_URL": redis_url}
        self._environment |= {"WORKER_MODEL": str(model), "WORKER_PRIVATE_ADDRESSES": "allow"}
        self._environment |= {"WORKER_GRACE_SECONDS": str(GRACE_SECONDS), "WORKER_DOWNLOAD_SECONDS": "40"}

    def start(self, name: str, **settings: str) -> None:
        self.processes.deepselfie(name, ["work"], self._environment | settings)
        self.processes.wait_for(name, "ready", SECONDS)

    def stop(self, name: str, *, signals: int = 1) -> float:
        """Tell one to stop, and return how many seconds it took to end."""
        child = self.processes._child(name)
        begin = time.monotonic()
        for number in range(signals):
            if number:
                # Two signals may become one, until the first was heard.
                self.processes.wait_for(name, "stopped", SECONDS)
            child.process.send_signal(signal.SIGTERM)
        assert child.process.wait(SECONDS) == 0
        self.processes._children.remove(child)
        return time.monotonic() - begin

    def mention(self, *names: str, photo: str) -> list[str]:
        """Mention the bot with a photo, once for each name."""
        mentions = [
            Mention(
                network="mastodon",
                id=name,
                author="ann",
                created_at=datetime.now(UTC),
                photos=(Photo(url=f"{self._url}/{photo}", medium="image"),),
            )
            for name in names
        ]
        self.ledger.ingest("mastodon", [Admission(mention) for mention in mentions])
        for mention in mentions:
            queues.enqueue(self._redis, queues.PHOTOS, mention.key)
        return [mention.key for mention in mentions]

    def read(self, key: str) -> Record:
        record = self.ledger.read(key)
        assert record
        return record

    def are(self, keys: Sequence[str], state: str, seconds: float = SECONDS) -> bool:
        return eventually(lambda: all(self.read(key).state == state for key in keys), seconds)

    def judged(self, count: int = 0) -> list[str]:
        """What they said that they judged; waits for so many."""

        def keys() -> list[str]:
            return sorted(event["key"] for event in self.log.named("judged"))

        # What they log may take longer to get here than what they write to Redis.
        eventually(lambda: len(keys()) >= count, SECONDS)
        return keys()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened, it lets the slow photo through."""
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def workers(redis: Redis, redis_url: str, tmp_path: Path, gate: threading.Event) -> Iterator[Workers]:
    fast = file(portrait_jpeg())

    def slow(request: BaseHTTPRequestHandler) -> None:
        gate.wait(SECONDS)
        fast(request)

    with web({"/fast.jpg": fast, "/slow.jpg": slow}) as url:
        workers = Workers(redis, redis_url, brightness_judge(tmp_path / "judge.onnx"), url)
        try:
            yield workers
        finally:
            gate.set()
            workers.processes.stop()


def rq_is_tidy(redis: Redis, *, photos: int = 0, replies: int) -> bool:
    """Whether RQ knows of no job but those that wait, and has none under way or failed."""
    names = (queues.PHOTOS, queues.REPLIES)
    lengths = [Queue(name, connection=redis).count for name in names]
    strays = [redis.llen(f"rq:queue:{name}:intermediate") for name in names]
    for registry in (StartedJobRegistry, FailedJobRegistry):
        strays += [len(registry(name, connection=redis).get_job_ids()) for name in names]
    jobs = [name for name in redis.scan_iter("rq:job:*") if name.count(b":") == 2]
    return lengths == [photos, replies] and not any(strays) and len(jobs) == photos + replies


def test_what_cannot_be_finished_in_time_another_worker_goes_on_with_at_once(
    workers: Workers, redis: Redis, gate: threading.Event
) -> None:
    workers.start("one")
    keys = workers.mention(*"abcde", photo="slow.jpg")
    assert workers.are(keys, "judging")
    workers.start("two")

    told = time.time()
    seconds = workers.stop("one")
    assert eventually(lambda: all(workers.read(key).times["judging"] > told for key in keys), SECONDS)
    handed_back = max(workers.read(key).times["new"] for key in keys)
    taken = max(workers.read(key).times["judging"] for key in keys)

    assert GRACE_SECONDS < seconds < GRACE_SECONDS + 3
    # A lease that nobody gives up lasts for longer.
    assert taken - handed_back < LEASE_SECONDS / 2
    assert {workers.read(key).tries["judging"] for key in keys} == {1}
    gate.set()
    assert workers.are(keys, "ready")
    assert workers.judged(len(keys)) == keys
    assert eventually(lambda: rq_is_tidy(redis, replies=5))


def test_what_can_be_finished_in_time_is(workers: Workers, redis: Redis, gate: threading.Event) -> None:
    workers.start("one", WORKER_GRACE_SECONDS="10")
    keys = workers.mention("a", "b", photo="slow.jpg")
    assert workers.are(keys, "judging")
    threading.Timer(0.4, gate.set).start()

    assert 0.4 < workers.stop("one") < 8

    assert workers.judged(len(keys)) == keys
    assert workers.are(keys, "ready", 0)
    assert rq_is_tidy(redis, replies=2)


def test_a_second_signal_hands_back_at_once(workers: Workers, redis: Redis) -> None:
    workers.start("one", WORKER_GRACE_SECONDS="60")
    keys = workers.mention("a", "b", photo="slow.jpg")
    assert workers.are(keys, "judging")

    assert workers.stop("one", signals=2) < 10

    assert workers.are(keys, "new", 0)
    assert not any(workers.read(key).is_leased for key in keys)
    assert rq_is_tidy(redis, photos=2, replies=0)


def test_who_is_told_to_stop_takes_nothing_on_any_more(workers: Workers, redis: Redis) -> None:
    workers.start("one", WORKER_PHOTOS_AT_ONCE="1")
    keys = workers.mention("a", photo="slow.jpg")
    assert workers.are(keys, "judging")
    # For these it has no place; one it waits with.
    waiting = workers.mention("b", "c", photo="fast.jpg")
    time.sleep(0.5)

    workers.stop("one")

    assert workers.are([*keys, *waiting], "new", 0)
    assert rq_is_tidy(redis, photos=3, replies=0)
    assert workers.judged() == []


@pytest.mark.parametrize("after", [0.05, 0.1, 0.15, 0.2])
def test_a_worker_that_stops_under_load_loses_nothing_and_nothing_is_judged_twice(
    workers: Workers, redis: Redis, after: float
) -> None:
    workers.start("one")
    workers.start("two")
    names = [f"{number:03}" for number in range(60)]
    keys = workers.mention(*names, photo="fast.jpg")
    time.sleep(after)

    workers.stop("one")

    assert workers.are(keys, "ready")
    assert workers.judged(len(keys)) == keys
    assert {workers.read(key).tries["judging"] for key in keys} == {1}
    assert eventually(lambda: rq_is_tidy(redis, replies=60))


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """A Redis of one's own; and what has it neither answer nor hang up."""
    ground = Processes(lambda _name, _event: None)
    url = start_valkey(ground, tmp_path)
    try:
        yield url, lambda: os.kill(ground.pid("redis"), signal.SIGSTOP)
    finally:
        os.kill(ground.pid("redis"), signal.SIGCONT)
        ground.stop()


@pytest.mark.parametrize("photos", [0, 2])
def test_a_worker_that_stops_does_not_wait_for_a_redis_that_does_not_answer(
    deaf: tuple[str, Callable[[], None]], tmp_path: Path, gate: threading.Event, photos: int
) -> None:
    url, stop_redis = deaf

    def slow(_: BaseHTTPRequestHandler) -> None:
        gate.wait(SECONDS)

    with web({"/slow.jpg": slow}) as site, Redis.from_url(url) as redis:
        workers = Workers(redis, url, brightness_judge(tmp_path / "judge.onnx"), site)
        try:
            workers.start("one")
            keys = workers.mention(*"ab"[:photos], photo="slow.jpg")
            assert workers.are(keys, "judging")
            stop_redis()
            time.sleep(1)

            assert workers.stop("one") < WITHOUT_REDIS_SECONDS
            assert workers.log.named("ended in the middle of it")
        finally:
            gate.set()
            workers.processes.stop()


@pytest.mark.parametrize(("command", "ready"), [("listen", "leading"), ("respond", "ready")])
def test_whoever_talks_to_a_network_does_not_wait_for_a_redis_that_does_not_answer_either(
    deaf: tuple[str, Callable[[], None]], network: Network, command: str, ready: str
) -> None:
    url, stop_redis = deaf
    network.processes.deepselfie("bot", [command], network.environment | {"REDIS_URL": url})
    network.processes.wait_for("bot", ready, SECONDS)
    stop_redis()
    time.sleep(1)
    begin = time.monotonic()

    os.kill(network.processes.pid("bot"), signal.SIGTERM)
    assert network.processes._child("bot").process.wait(60) == 0

    assert time.monotonic() - begin < WITHOUT_REDIS_SECONDS


@pytest.fixture
def network(tmp_path: Path, redis: Redis, redis_url: str) -> Iterator[Network]:
    redis.ping()
    network = Network(tmp_path, redis_url)
    yield network
    network.processes.stop()


def respond(network: Network) -> int:
    network.processes.deepselfie("responder", ["respond"], network.environment)
    network.processes.wait_for("responder", "ready", SECONDS)
    return network.processes.pid("responder")


def test_a_responder_finishes_the_reply_in_hand(network: Network, redis: Redis) -> None:
    network.listen()
    network.settle()
    responder = respond(network)
    network.switch_on(endpoint="POST /api/v1/statuses", kind="latency", seconds=2, times=2)
    ann = Person(network.url, "ann")
    post = ann.post("@deepselfie help")
    ledger = Ledger(redis)
    assert eventually(lambda: (it := ledger.read(f"mastodon:{post}")) is not None and it.state == "sending")

    os.kill(responder, signal.SIGTERM)
    assert network.processes._child("responder").process.wait(SECONDS) == 0

    record = ledger.read(f"mastodon:{post}")
    assert record
    assert record.state == "sent"
    assert len(ann.replies(post)) == 1
    assert rq_is_tidy(redis, replies=0)


def test_a_responder_that_is_told_twice_ends_at_once_and_nobody_is_answered_twice(
    network: Network, redis: Redis
) -> None:
    network.listen()
    network.settle()
    responder = respond(network)
    ann = Person(network.url, "ann")
    network.switch_on(endpoint="POST /api/v1/statuses", kind="latency", seconds=6)
    post = ann.post("@deepselfie help")
    ledger = Ledger(redis)
    assert eventually(lambda: (it := ledger.read(f"mastodon:{post}")) is not None and it.state == "sending")

    begin, process = time.monotonic(), network.processes._child("responder").process
    # More than two: a signal that comes before the last one was heard is the same one.
    while process.poll() is None and time.monotonic() < begin + SECONDS:
        os.kill(responder, signal.SIGTERM)
        time.sleep(0.1)
    assert process.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 4
    network.switch_off()
    network.processes.kill("responder")
    respond(network)

    assert eventually(lambda: (it := ledger.read(f"mastodon:{post}")) is not None and it.state == "sent", 20)
    assert len(ann.replies(post)) == 1
