"""One listener leads each network; the others take over when it is gone."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self
from urllib.request import Request, urlopen

import pytest
from redis import Redis

from bot import keys, queues
from bot.alarms import alarms, clear_unled, raise_alarm
from bot.leader import LEASE_SECONDS, RENEW_SECONDS, Lead, leaders
from bot.ledger import Ledger
from bot.overview import look
from bot.processes import Processes
from bot.sandbox.person import Person
from bot.valkey import start_valkey
from tests.network import SECONDS, TOKEN, Network
from tests.waiting import eventually

LOOK = "@deepselfie look http://photos.example/a.jpg"
# A lease that nobody gives up lasts for longer.
AT_ONCE_SECONDS = LEASE_SECONDS - RENEW_SECONDS


class Candidate:
    """Somebody who wants the lead, holds it until told, and notes when it was lost."""

    def __init__(self, redis: Redis, network: str = "mastodon") -> None:
        self.leads = threading.Event()
        self.lost = threading.Event()
        self.hangs = threading.Event()
        self._enough = threading.Event()
        self._lead = Lead(redis, network)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with self._lead.held(self._lose, self.hangs.is_set):
            self.leads.set()
            self._enough.wait()

    def _lose(self) -> None:
        self.lost.set()
        self._enough.set()

    def end(self) -> None:
        self._enough.set()
        if self.leads.is_set():
            self._thread.join(SECONDS)


def test_who_is_alone_leads_at_once(redis: Redis) -> None:
    begin = time.monotonic()
    alone = Candidate(redis)

    assert alone.leads.wait(SECONDS)
    assert time.monotonic() - begin < AT_ONCE_SECONDS
    assert leaders(redis)["mastodon"].endswith(f"/{os.getpid()}")
    alone.end()
    assert leaders(redis) == {}


def test_an_operator_sees_who_leads(redis: Redis) -> None:
    alone = Candidate(redis)
    assert alone.leads.wait(SECONDS)

    overview = look(redis, 60)

    assert f"mastodon listener: {socket.gethostname()}/{os.getpid()}" in overview.as_text()
    assert set(overview.as_json()["leaders"]) == {"mastodon"}
    alone.end()


def test_each_network_has_a_leader_of_its_own(redis: Redis) -> None:
    first, second = Candidate(redis, "mastodon"), Candidate(redis, "x")

    assert first.leads.wait(SECONDS)
    assert second.leads.wait(SECONDS)
    assert set(leaders(redis)) == {"mastodon", "x"}
    first.end()
    second.end()


def test_who_stands_by_takes_over_at_once_when_the_leader_stops(redis: Redis) -> None:
    first = Candidate(redis)
    assert first.leads.wait(SECONDS)
    second = Candidate(redis)
    assert not second.leads.wait(0.3)

    begin = time.monotonic()
    first.end()

    assert second.leads.wait(SECONDS)
    assert time.monotonic() - begin < AT_ONCE_SECONDS
    assert not first.lost.is_set()
    second.end()


@pytest.mark.e2e
def test_a_lead_that_is_renewed_outlives_its_lease(redis: Redis) -> None:
    first = Candidate(redis)
    assert first.leads.wait(SECONDS)
    second = Candidate(redis)

    assert not second.leads.wait(LEASE_SECONDS * 1.5)
    assert not first.lost.is_set()
    first.end()
    assert second.leads.wait(SECONDS)
    second.end()


def test_a_leader_that_was_deposed_finds_out_and_leaves_its_successor_alone(redis: Redis) -> None:
    first = Candidate(redis)
    assert first.leads.wait(SECONDS)
    # As after a failover to a replica that had not heard of it.
    redis.set(keys.leader("mastodon"), "host/1 successor")

    assert first.lost.wait(SECONDS)
    first.end()
    assert redis.get(keys.leader("mastodon")) == b"host/1 successor"


@pytest.mark.e2e
def test_a_leader_that_hangs_hands_over_to_who_stands_by(redis: Redis) -> None:
    first = Candidate(redis)
    assert first.leads.wait(SECONDS)
    second = Candidate(redis)
    first.hangs.set()

    assert second.leads.wait(RENEW_SECONDS + 2)
    assert first.lost.wait(SECONDS)
    second.end()
    assert leaders(redis) == {}


@pytest.mark.e2e
def test_a_leader_that_hangs_goes_on_where_nobody_stands_by(redis: Redis) -> None:
    alone = Candidate(redis)
    assert alone.leads.wait(SECONDS)
    alone.hangs.set()

    assert not alone.lost.wait(2 * RENEW_SECONDS + 0.5)
    assert leaders(redis)
    alone.end()


@pytest.mark.e2e
def test_a_renewal_that_comes_too_late_does_not_bring_back_what_is_lost(tmp_path: Path) -> None:
    ground = Processes(lambda _name, _event: None)
    with ExitStack() as stack:
        stack.callback(ground.stop)
        redis = stack.enter_context(Redis.from_url(start_valkey(ground, tmp_path), socket_timeout=20))
        lost, goes_on = threading.Event(), threading.Event()

        def hold() -> None:
            # It is told, and does not end: it hangs.
            with Lead(redis, "mastodon").held(lost.set, lambda: False):
                goes_on.wait(SECONDS)

        thread = threading.Thread(target=hold)
        thread.start()
        assert eventually(lambda: "mastodon" in leaders(redis))
        os.kill(ground.pid("redis"), signal.SIGSTOP)
        assert lost.wait(LEASE_SECONDS)
        os.kill(ground.pid("redis"), signal.SIGCONT)

        assert eventually(lambda: leaders(redis) == {}, LEASE_SECONDS)
        assert not eventually(lambda: bool(leaders(redis)), RENEW_SECONDS + 0.5)
        goes_on.set()
        thread.join(SECONDS)


@pytest.mark.e2e
def test_without_redis_the_lead_is_given_up_before_anybody_else_can_have_it(tmp_path: Path) -> None:
    ground = Processes(lambda _name, _event: None)
    with ExitStack() as stack:
        stack.callback(ground.stop)
        url = start_valkey(ground, tmp_path)
        redis = stack.enter_context(Redis.from_url(url, socket_timeout=20))
        first = Candidate(redis)
        assert first.leads.wait(SECONDS)
        # It neither answers nor hangs up: a renewal would wait for longer than the lease lasts.
        stopped = time.monotonic()
        os.kill(ground.pid("redis"), signal.SIGSTOP)

        assert first.lost.wait(LEASE_SECONDS)
        assert time.monotonic() - stopped < LEASE_SECONDS
        os.kill(ground.pid("redis"), signal.SIGCONT)
        first.end()


@pytest.mark.e2e
def test_leading_and_standing_by_cost_no_more_than_one_command_a_second(redis: Redis) -> None:
    first = Candidate(redis)
    assert first.leads.wait(SECONDS)
    second = Candidate(redis)
    redis.config_resetstat()
    begin = time.monotonic()
    time.sleep(8)

    stats = redis.info("commandstats")
    calls = sum(stats.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "eval", "blpop"))
    first.end()
    assert second.leads.wait(SECONDS)
    second.end()

    # One that began just before does not make it two.
    assert calls - 2 <= time.monotonic() - begin


def test_who_starts_leaves_the_alarms_of_a_network_that_is_listened_to(redis: Redis) -> None:
    raise_alarm(redis, "mastodon stream", "it ends again and again")
    raise_alarm(redis, "x poll", "mentions cannot be read")
    raise_alarm(redis, "x", "the bot is not on it")

    clear_unled(redis, {"mastodon"})

    assert list(alarms(redis)) == ["mastodon stream"]


class Pair:
    """Two listener processes on one sandbox network."""

    def __init__(self, directory: Path, redis_url: str) -> None:
        self.network = Network(directory, redis_url)
        self.processes = self.network.processes
        for name in ("one", "two"):
            self.start(name)

    def start(self, name: str) -> None:
        # The poller would hide what a stream that is not open loses.
        environment = self.network.environment | {"BOT_POLL_SECONDS": "3600"}
        self.processes.deepselfie(name, ["listen"], environment)

    def leader(self, redis: Redis) -> int | None:
        """The id of the process that leads."""
        leader = leaders(redis).get("mastodon")
        return int(leader.partition("/")[2]) if leader else None

    def name(self, pid: int) -> str:
        return next(name for name in ("one", "two") if self.processes.pid(name) == pid)

    def streams(self) -> int:
        """How many streams the network has open for the bot."""
        request = Request(f"{self.network.url}/sandbox/streams", headers={"Authorization": f"Bearer {TOKEN}"})
        with urlopen(request, timeout=SECONDS) as answer:
            return int(json.load(answer)["open"])


class Load:
    """Somebody who mentions the bot ten times a second; and how many streams are open meanwhile."""

    def __init__(self, pair: Pair) -> None:
        self.posts: list[str] = []
        self.streams: list[int] = []
        self._pair = pair
        self._over = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._post, self._count)]

    def _post(self) -> None:
        ann = Person(self._pair.network.url, "ann")
        while not self._over.wait(0.1):
            self.posts.append(ann.post(LOOK))

    def _count(self) -> None:
        while not self._over.wait(0.05):
            self.streams.append(self._pair.streams())

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def pair(tmp_path: Path, redis: Redis, redis_url: str) -> Iterator[Pair]:
    redis.ping()
    pair = Pair(tmp_path, redis_url)
    try:
        assert eventually(lambda: pair.streams() == 1, SECONDS)
        assert eventually(lambda: bool(redis.exists(keys.standby("mastodon"))), SECONDS)
        yield pair
    finally:
        pair.processes.stop()


def leading(pair: Pair, redis: Redis) -> int:
    """The id of the process that leads, once it has for a second."""
    time.sleep(1)
    leader = pair.leader(redis)
    assert leader
    return leader


def taken_over(pair: Pair, redis: Redis, before: int) -> float:
    """Seconds until another process leads than that with this id, and the stream is open."""
    begin = time.monotonic()
    assert eventually(lambda: pair.leader(redis) not in (before, None) and pair.streams() == 1, SECONDS)
    return time.monotonic() - begin


def all_heard_once(load: Load, redis: Redis, *, doubles: int = 0) -> bool:
    """Whether each mention is in ledger and queue, and in the queue once, but for so many doubles."""
    ledger, names = Ledger(redis), {f"mastodon:{post}" for post in load.posts}
    heard = eventually(lambda: all(map(ledger.read, names)), SECONDS)
    # One gets there just after it is in the ledger.
    queued = eventually(lambda: set(queues.waiting(redis, names).values()) == {queues.PHOTOS}, SECONDS)
    is_once = redis.llen("rq:queue:photos") <= len(load.posts) + doubles
    return heard and queued and is_once and len(names) == len(load.posts)


@pytest.mark.e2e
def test_after_a_crash_the_other_listener_takes_over_and_nothing_is_lost_or_doubled(
    pair: Pair, redis: Redis
) -> None:
    with Load(pair) as load:
        leader = leading(pair, redis)

        pair.processes.kill(pair.name(leader))
        seconds = taken_over(pair, redis, leader)
        time.sleep(0.5)

    assert seconds < LEASE_SECONDS + 5
    assert max(load.streams) == 1
    assert len(load.posts) > 20
    assert all_heard_once(load, redis)


@pytest.mark.e2e
def test_a_leader_that_stops_hands_over_at_once(pair: Pair, redis: Redis) -> None:
    with Load(pair) as load:
        leader = leading(pair, redis)

        os.kill(leader, signal.SIGTERM)
        seconds = taken_over(pair, redis, leader)
        time.sleep(0.5)

    assert seconds < AT_ONCE_SECONDS
    assert max(load.streams) == 1
    assert all_heard_once(load, redis)


@pytest.mark.e2e
def test_a_leader_that_stood_still_stands_by_when_it_goes_on(pair: Pair, redis: Redis) -> None:
    with Load(pair) as load:
        leader = leading(pair, redis)

        os.kill(leader, signal.SIGSTOP)
        begin = time.monotonic()
        assert eventually(lambda: pair.leader(redis) not in (leader, None), SECONDS)
        seconds = time.monotonic() - begin
        other = pair.leader(redis)
        # The other's stream; that of who stands still, the network still takes for open.
        assert eventually(lambda: pair.streams() == 2, SECONDS)
        os.kill(leader, signal.SIGCONT)
        pair.processes.wait_for(pair.name(leader), "leadership lost", SECONDS)
        assert eventually(lambda: pair.streams() == 1, SECONDS)
        time.sleep(1)

    assert seconds < LEASE_SECONDS + 5
    assert pair.leader(redis) == other
    assert load.streams[-1] == 1
    assert max(load.streams) <= 2
    # Between ledger and queue it may have stood still for so long that a sweeper handed the mention on too.
    assert all_heard_once(load, redis, doubles=1)
