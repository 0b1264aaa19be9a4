"""Each step of the path may be a process's last: the mention still gets exactly one reply."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot import queues
from bot.chaos import POINTS
from bot.demo import BOT, READY_SECONDS, UNLIMITED, start_sandbox
from bot.ledger import Ledger
from bot.messages import Judged, Verdict
from bot.processes import ProcessDied, Processes
from bot.record import Record
from bot.sandbox.person import Person
from bot.valkey import start_valkey
from tests.judges import brightness_judge
from tests.photos import portrait_jpeg
from tests.waiting import eventually
from tests.words import words

pytestmark = pytest.mark.e2e

TOKEN = "token-of-the-bot"
PROMISE_SECONDS = 60
# Most of the time is spent waiting for leases to run out, and that can be done side by side.
SIDE_BY_SIDE = 5

# What the brightness judge thinks of the photo.
VERDICT = Verdict(
    opinions=(Judged(score=0.45, label="dark", percentile=0.4),), reference_name="shades of grey"
)


class Bot:
    """A whole bot, each process of which is started again when it ends, as Docker would."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self._ground = Processes(lambda _name, _event: None)
        environment = UNLIMITED | os.environ | {"LOG_FORMAT": "json", "SANDBOX_TOKEN": TOKEN}
        self.url = start_sandbox(self._ground, directory, 0, environment)
        self.redis_url = start_valkey(self._ground, directory)
        self._environment = environment | settings
        self._environment |= {"REDIS_URL": self.redis_url, "MASTODON_URL": self.url, "MASTODON_TOKEN": TOKEN}
        self._environment |= {"WORKER_PRIVATE_ADDRESSES": "allow", "BOT_POLL_SECONDS": "1"}
        self._processes = {name: Processes(lambda _name, _event: None) for name in BOT}
        for name in BOT:
            self._start(name)
        for name, (_, ready) in BOT.items():
            # It may have reached the point at once.
            with suppress(ProcessDied):
                self._processes[name].wait_for(name, ready, READY_SECONDS)

    def _start(self, name: str) -> None:
        self._processes[name].deepselfie(name, [BOT[name][0]], self._environment)

    def kill(self, name: str) -> None:
        self._processes[name].kill(name)

    def supervise(self) -> int:
        """Start again what has ended, and return how many processes that were."""
        ended = 0
        for name, processes in self._processes.items():
            try:
                processes.check()
            except ProcessDied:
                processes.kill(name)
                self._start(name)
                ended += 1
        return ended

    def stop(self) -> None:
        for processes in [*self._processes.values(), self._ground]:
            processes.stop()


@dataclass(frozen=True)
class Outcome:
    """How one mention fared."""

    crashed: bool
    deaths: int
    """How many processes ended by themselves."""
    post: str
    replies: list[str]
    record: Record | None
    seconds: float
    """From the mention to the reply, or until it was given up."""


def survive(point: str, directory: Path, judge: Path) -> Outcome:
    """Mention the bot with a photo once, while the first process to reach a point is killed there."""
    mark = directory / "mark"
    bot = Bot(directory, WORKER_MODEL=str(judge), DEEPSELFIE_CRASH_AT=point, DEEPSELFIE_CRASH_MARK=str(mark))
    try:
        ann = Person(bot.url, "ann")
        photo = ann.upload(judge.with_name("photo.jpg"))
        if point == "rescued":
            # Nobody is there to judge: the job waits, until somebody takes it and dies of it.
            bot.kill("worker")
        started = time.monotonic()
        post = ann.post("@deepselfie look", [photo])
        if point == "rescued":
            _take_and_die(bot, f"mastodon:{post}")
            bot._start("worker")
        return _watch(bot, ann, post, mark, started)
    finally:
        bot.stop()


def _take_and_die(bot: Bot, key: str) -> None:
    """What a worker does that is killed at once: its job is gone, and its lease is taken."""
    with queues.connect(bot.redis_url) as redis:
        assert eventually(lambda: queues.waiting(redis, [key])[key] == queues.PHOTOS, PROMISE_SECONDS)
        assert Ledger(redis).claim(key, ["new"], "judging")
        redis.delete(f"rq:queue:{queues.PHOTOS}")


def _watch(bot: Bot, ann: Person, post: str, mark: Path, started: float) -> Outcome:
    deaths, answered = 0, None
    with queues.connect(bot.redis_url) as redis:
        ledger = Ledger(redis)
        while time.monotonic() < started + PROMISE_SECONDS:
            deaths += bot.supervise()
            record = ledger.read(f"mastodon:{post}")
            answered = answered or (ann.replies(post) and time.monotonic())
            # A second reply could still come for as long as the ledger does not know of the first; and a
            # killed process may outlive its last deed by a moment.
            over = record is not None and record.state == "sent" and not redis.exists("rq:queue:replies")
            if answered and deaths and over:
                break
            time.sleep(0.05)
        deaths += bot.supervise()
        record = ledger.read(f"mastodon:{post}")
    replies = [reply.text for reply in ann.replies(post)]
    return Outcome(mark.exists(), deaths, post, replies, record, (answered or time.monotonic()) - started)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Outcome]]]:
    directory = tmp_path_factory.mktemp("judge")
    judge = brightness_judge(directory / "brightness.onnx")
    (directory / "photo.jpg").write_bytes(portrait_jpeg())
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        yield {point: pool.submit(survive, point, tmp_path_factory.mktemp("bot"), judge) for point in POINTS}


def test_there_are_enough_points_on_the_path() -> None:
    assert len(set(POINTS)) >= 12


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_anywhere_on_the_path_ends_with_exactly_one_reply(
    outcomes: dict[str, Future[Outcome]], point: str
) -> None:
    outcome = outcomes[point].result(len(POINTS) * 2 * PROMISE_SECONDS)

    assert outcome.crashed, "nobody reached that point"
    assert outcome.deaths == 1
    assert outcome.record
    attempts = range(outcome.record.tries["sending"])
    ways = [words(outcome.post, VERDICT, attempt=attempt) for attempt in attempts]
    assert outcome.replies in [[f"@ann {way}"] for way in ways]
    assert all(re.fullmatch(r"45/100.*\nBetter than 40% of shades of grey\.", way) for way in ways)
    assert outcome.record.state == "sent"
    assert outcome.seconds < PROMISE_SECONDS


BATCH = 16
# The lease of a dead worker, and a sweep.
AGAIN_SECONDS = 5


@pytest.mark.parametrize("point", ["judge claimed", "examined"])
def test_of_a_batch_in_the_hands_of_a_killed_worker_nothing_is_lost_and_nothing_answered_twice(
    point: str, tmp_path: Path
) -> None:
    # The machine that runs this test may have other things to do meanwhile.
    for number in range(3):
        directory = tmp_path / str(number)
        directory.mkdir()
        if _batch_is_judged_again_after(point, directory) < AGAIN_SECONDS:
            return
    pytest.fail(f"it took more than {AGAIN_SECONDS} seconds each time until all were judged again")


def _batch_is_judged_again_after(point: str, directory: Path) -> float:
    """Seconds from the death of a worker with a batch in its hands until all of it is claimed again."""
    judge = brightness_judge(directory / "brightness.onnx")
    mark = directory / "mark"
    bot = Bot(directory, WORKER_MODEL=str(judge), DEEPSELFIE_CRASH_AT=point, DEEPSELFIE_CRASH_MARK=str(mark))
    try:
        bot.kill("worker")
        ann = Person(bot.url, "ann")
        (directory / "photo.jpg").write_bytes(portrait_jpeg())
        photos = [ann.upload(directory / "photo.jpg") for _ in range(BATCH)]
        posts = [ann.post("@deepselfie look", [photo]) for photo in photos]
        with queues.connect(bot.redis_url) as redis:
            _until(bot, lambda: redis.llen(f"rq:queue:{queues.PHOTOS}") == BATCH)
            # It takes all that wait at once.
            bot._start("worker")
            _until(bot, lambda: Ledger(redis).counts().get("sent") == BATCH)
            records = [Ledger(redis).read(f"mastodon:{post}") for post in posts]
        replies = [[reply.text for reply in ann.replies(post)] for post in posts]
    finally:
        bot.stop()

    died = mark.stat().st_mtime
    assert all(record and record.state == "sent" and record.tries["judging"] == 2 for record in records)
    assert all(record.times["judging"] > died for record in records if record)
    assert replies == [[f"@ann {words(post, VERDICT)}"] for post in posts]
    return max(record.times["judging"] for record in records if record) - died


def _until(bot: Bot, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PROMISE_SECONDS
    while not is_so():
        bot.supervise()
        assert time.monotonic() < deadline
        time.sleep(0.05)
