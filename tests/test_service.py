"""The worker that does to many mentions at once what can be: against a real Redis, with a real judge."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGTERM

import numpy as np
import pytest
from PIL import Image
from redis import Redis, RedisError
from rq import Queue, Worker
from rq.registry import FailedJobRegistry, StartedJobRegistry
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from bot import queues
from bot.ledger import LEASE_SECONDS, Ledger
from bot.messages import Declined, Judged, Mention, Photo, Verdict
from bot.processes import Processes
from bot.queues import PHOTOS, REPLIES, Stop
from bot.record import Admission, Record
from bot.valkey import start_valkey
from model.judge import Judge, Opinions
from model.pixels import Pixels
from tests.clock import let_pass
from tests.judges import CARD, SIDE, brightness_judge
from tests.photos import encoded
from tests.trips import counted
from tests.waiting import eventually
from tests.web import file, web
from worker import service
from worker.batcher import Batcher
from worker.decode import Decoders
from worker.decode import Limits as DecodeLimits
from worker.download import Downloader, Limits
from worker.looker import Look, Looker
from worker.service import Service

SECONDS = 10

Then = Callable[[Look], None]


class Unspeakable(Exception):
    """What cannot even be written down."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class Eyes:
    """Sees as bright a photo as its link says, at once or when it is told to."""

    def __init__(self) -> None:
        self.is_shut = False
        self.waiting: list[tuple[Photo, int, Then]] = []
        self.most = 0
        self.failure: Exception = OSError("no decoder can be started")

    def look(self, photo: Photo, side: int, then: Then) -> None:
        if self.is_shut:
            self.waiting.append((photo, side, then))
            self.most = max(self.most, len(self.waiting))
            return
        word = (photo.url or "").rpartition("/")[2]
        match word:
            case "gone":
                then(Look(Declined(reason="not_found", value=404)))
            case "unspeakable":
                then(Look(Unspeakable()))
            case "broken":
                then(Look(self.failure))
            case _:
                then(Look(grey(int(word), side), 0.1, 0.2))

    def open(self) -> None:
        self.is_shut = False
        waiting, self.waiting = self.waiting, []
        for photo, side, then in waiting:
            self.look(photo, side, then)


def grey(level: int, side: int) -> Pixels:
    return np.full((side, side, 3), level, np.uint8)


class Shift:
    """A service that works in a thread."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.stop = Stop(at_once=False)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self.stop.requested:
            with suppress(RedisError):
                self.service.run(self.stop)
            time.sleep(0.05)

    def end(self) -> None:
        self.stop.request(SIGTERM)
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


@pytest.fixture
def eyes() -> Eyes:
    return Eyes()


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return Judge(brightness_judge(tmp_path_factory.mktemp("judge") / "judge.onnx"))


@pytest.fixture
def ledger(redis: Redis) -> Ledger:
    return Ledger(redis)


Begin = Callable[..., Shift]


@pytest.fixture
def begin(redis: Redis, eyes: Eyes, judge: Judge) -> Iterator[Begin]:
    shifts: list[Shift] = []
    batcher = Batcher(calls=1, most=8)

    def begin(photos: int = 64, judge: Callable[[], Judge] = lambda: judge) -> Shift:
        shifts.append(Shift(Service(redis, eyes.look, batcher, judge, photos=photos)))
        return shifts[-1]

    yield begin
    for shift in shifts:
        shift.end()
    batcher.close()


def hear(redis: Redis, ledger: Ledger, *photos: tuple[str, ...], first: int = 0) -> list[str]:
    """Mentions with such photos, written down and enqueued."""
    mentions = [
        Mention(
            network="mastodon",
            id=str(number),
            author="ann",
            created_at=datetime.now(UTC),
            photos=tuple(Photo(medium="image", url=f"https://example.org/{name}") for name in names),
        )
        for number, names in enumerate(photos, first)
    ]
    ledger.ingest("mastodon", [Admission(mention) for mention in mentions])
    keys = [mention.key for mention in mentions]
    queues.enqueue(redis, PHOTOS, *keys)
    return keys


def record(ledger: Ledger, key: str) -> Record:
    found = ledger.read(key)
    assert found
    return found


def verdict(ledger: Ledger, key: str) -> Verdict:
    assert eventually(lambda: record(ledger, key).state == "ready", SECONDS)
    found = record(ledger, key).verdict
    assert found
    return found


@pytest.mark.parametrize("calls", [1, 2])
def test_photos_of_one_mention_are_judged_in_no_more_calls_than_there_may_be_at_a_time(
    redis: Redis, ledger: Ledger, eyes: Eyes, judge: Judge, calls: int
) -> None:
    sizes: list[int] = []
    called, may_go_on = threading.Semaphore(0), threading.Event()

    def watch(_: Judge, photos: Pixels, __: Opinions) -> None:
        sizes.append(len(photos))
        called.release()
        assert may_go_on.wait(SECONDS)

    batcher = Batcher(calls=calls, most=4, watch=watch)
    shift = Shift(Service(redis, eyes.look, batcher, lambda: judge, photos=64))
    for number in range(calls):
        hear(redis, ledger, ("0",), first=number)
        assert called.acquire(timeout=SECONDS)
    eyes.is_shut = True
    [key] = hear(redis, ledger, ("0", "51", "102", "255"), first=calls)
    assert eventually(lambda: len(eyes.waiting) == 4, SECONDS)
    eyes.open()
    may_go_on.set()

    scores = [opinion.score for opinion in verdict(ledger, key).opinions if isinstance(opinion, Judged)]
    assert scores == pytest.approx([0, 0.2, 0.4, 1], abs=1e-3)
    assert sum(sizes[calls:]) == 4
    assert len(sizes[calls:]) <= calls
    shift.end()
    batcher.close()


def test_mentions_are_judged_and_handed_on_to_be_answered(redis: Redis, ledger: Ledger, begin: Begin) -> None:
    keys = hear(redis, ledger, *[(str(level),) for level in range(0, 250, 10)])
    begin()

    for number, key in enumerate(keys):
        found = verdict(ledger, key)
        assert found.best
        assert found.best.score == pytest.approx(number * 10 / 255, abs=1e-3)
        assert found.judge == "brightness 1"
        assert record(ledger, key).score == pytest.approx(found.best.score)
        assert record(ledger, key).label == found.best.label
    assert queues.waiting(redis, keys) == dict.fromkeys(keys, REPLIES)
    assert redis.llen("rq:queue:replies") == len(keys)


def test_a_mentions_opinions_stand_in_its_photos_order(redis: Redis, ledger: Ledger, begin: Begin) -> None:
    [key, bare] = hear(redis, ledger, ("255", "gone", "0"), ())
    begin()

    bright, gone, dark = verdict(ledger, key).opinions
    assert isinstance(bright, Judged)
    assert isinstance(dark, Judged)
    assert (bright.score, gone, dark.score) == (1, Declined(reason="not_found", value=404), 0)
    assert verdict(ledger, bare).opinions == ()


def test_what_goes_wrong_with_one_photo_is_apologised_for_and_costs_no_other_mention(
    redis: Redis, ledger: Ledger, begin: Begin
) -> None:
    [broken, good] = hear(redis, ledger, ("255", "broken"), ("255",))
    begin()

    assert verdict(ledger, broken).notice == "our_fault"
    assert record(ledger, broken).ends == "failed"
    assert record(ledger, broken).reason == "OSError: no decoder can be started"
    assert verdict(ledger, good).best


def test_a_job_whose_verdict_cannot_be_written_is_not_kept_alive(
    redis: Redis, ledger: Ledger, begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    hear(redis, ledger, ("unspeakable",))
    begin()
    assert eventually(lambda: "not judged now" in caplog.messages, SECONDS)

    [_, good] = hear(redis, ledger, ("unspeakable",), ("255",))

    assert verdict(ledger, good).best
    [worker] = BaseWorker.all(connection=redis, serializer=JSONSerializer)
    assert worker.get_state() == "idle"


def test_afterwards_nothing_is_left_in_rqs_registries(redis: Redis, ledger: Ledger, begin: Begin) -> None:
    keys = hear(redis, ledger, *[("51",)] * 20)
    shift = begin()
    for key in keys:
        verdict(ledger, key)

    [worker] = Worker.all(queue=Queue(PHOTOS, connection=redis), serializer=JSONSerializer)
    assert (worker.successful_job_count, worker.get_state()) == (20, "idle")
    shift.end()
    assert Worker.count(queue=Queue(PHOTOS, connection=redis)) == 0
    for registry in (StartedJobRegistry, FailedJobRegistry):
        assert registry(PHOTOS, connection=redis, serializer=JSONSerializer).get_job_ids() == []
    assert {name for name in redis.keys("rq:job:*") if redis.hget(name, "origin") == b"photos"} == set()
    assert redis.keys("rq:execution*") == []


def test_no_more_is_taken_than_can_be_had_in_hand(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes
) -> None:
    eyes.is_shut = True
    keys = hear(redis, ledger, *[("51",)] * 12)
    begin(photos=5)

    assert eventually(lambda: len(eyes.waiting) == 5)
    time.sleep(0.1)
    assert len(eyes.waiting) == 5
    assert redis.llen("rq:queue:photos") == 7
    while redis.llen("rq:queue:photos") or eyes.waiting:
        eyes.open()

    for key in keys:
        assert verdict(ledger, key).best
    assert eyes.most == 5


def test_a_mention_is_kept_for_as_long_as_it_is_looked_at(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes
) -> None:
    eyes.is_shut = True
    [key] = hear(redis, ledger, ("51",))
    begin()
    assert eventually(lambda: len(eyes.waiting) == 1)

    for _ in range(2):
        let_pass(redis, key, LEASE_SECONDS + 0.5)
        assert eventually(lambda: ledger.overdue() == [], SECONDS)
    eyes.open()

    assert verdict(ledger, key).best


def test_one_whose_lease_was_lost_is_not_written(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes
) -> None:
    eyes.is_shut = True
    [key, other] = hear(redis, ledger, ("51",), ("51",))
    begin()
    assert eventually(lambda: len(eyes.waiting) == 2)
    let_pass(redis, key, LEASE_SECONDS + 1)
    ledger.rescue({key: ""})
    assert ledger.claim(key, ["new"], "judging")
    eyes.open()

    assert verdict(ledger, other).best
    assert record(ledger, key).state == "judging"
    assert record(ledger, key).verdict is None


def test_a_verdict_that_cannot_be_written_costs_its_own_mention_and_no_other(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes
) -> None:
    eyes.is_shut = True
    bad, good = hear(redis, ledger, ("broken",), ("51",))
    begin()
    assert eventually(lambda: len(eyes.waiting) == 2)
    # No text that Redis could keep.
    eyes.failure = OSError("\udcff")

    eyes.open()

    assert verdict(ledger, good).best
    assert eventually(lambda: record(ledger, bad).ends == "failed")
    assert record(ledger, bad).reason == "OSError: ?"
    assert [record(ledger, key).tries["judging"] for key in (bad, good)] == [1, 1]


def test_a_job_too_many_is_just_struck_off(redis: Redis, ledger: Ledger, begin: Begin) -> None:
    [key, taken] = hear(redis, ledger, ("51",), ("51",))
    queues.enqueue(redis, PHOTOS, key, key, "mastodon:unknown")
    assert ledger.claim(taken, ["new"], "judging")
    begin()

    assert verdict(ledger, key).best
    assert eventually(lambda: not redis.exists("rq:wip:photos", "rq:queue:photos"))
    assert redis.llen("rq:queue:replies") == 1
    assert record(ledger, taken).state == "judging"


def test_a_mention_keeps_its_judge_from_its_squares_to_its_verdict(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes, tmp_path: Path
) -> None:
    card = CARD.model_copy(update={"version": "2", "input_size": 16}).model_dump_json()
    newer = Judge(brightness_judge(tmp_path / "newer.onnx", side=16, card=card))
    current = [Judge(brightness_judge(tmp_path / "older.onnx"))]
    eyes.is_shut = True
    [old] = hear(redis, ledger, ("51",))
    begin(judge=lambda: current[0])
    assert eventually(lambda: len(eyes.waiting) == 1)

    current[0] = newer
    new = Mention(network="mastodon", id="new", author="bob", created_at=datetime.now(UTC))
    photo = Photo(medium="image", url="https://example.org/102")
    ledger.ingest("mastodon", [Admission(new.model_copy(update={"photos": (photo,)}))])
    queues.enqueue(redis, PHOTOS, new.key)
    assert eventually(lambda: len(eyes.waiting) == 2)
    assert [side for _, side, _ in eyes.waiting] == [SIDE, 16]
    eyes.open()

    assert verdict(ledger, old).judge == "brightness 1"
    assert verdict(ledger, new.key).judge == "brightness 2"


def test_what_is_in_hand_is_finished_before_the_end(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes
) -> None:
    eyes.is_shut = True
    [key] = hear(redis, ledger, ("51",))
    shift = begin()
    assert eventually(lambda: len(eyes.waiting) == 1)
    shift.end()
    threading.Timer(0.2, eyes.open).start()

    assert shift.service.close(shift.stop, SECONDS) == 0

    assert record(ledger, key).state == "ready"


def test_what_is_not_finished_in_time_is_handed_back_at_once_and_untried(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes
) -> None:
    eyes.is_shut = True
    [first, second] = hear(redis, ledger, ("51",), ("102",))
    shift = begin()
    assert eventually(lambda: len(eyes.waiting) == 2)
    shift.end()
    late, eyes.waiting = eyes.waiting, []

    assert shift.service.close(shift.stop, 0.05) == 2

    for key in (first, second):
        assert record(ledger, key).state == "new"
        assert record(ledger, key).tries == {"judging": 0}
    assert queues.waiting(redis, [first, second]) == dict.fromkeys([first, second], PHOTOS)
    assert redis.llen("rq:queue:photos") == 2
    eyes.is_shut = False
    begin()
    for key in (first, second):
        assert verdict(ledger, key).best
    # Too late, and for nobody.
    eyes.waiting = late
    eyes.open()
    time.sleep(0.1)
    assert redis.llen("rq:queue:replies") == 2
    assert redis.llen("rq:queue:photos") == 0


def test_to_be_told_twice_to_stop_ends_the_waiting(
    redis: Redis, ledger: Ledger, begin: Begin, eyes: Eyes
) -> None:
    eyes.is_shut = True
    [key] = hear(redis, ledger, ("51",))
    shift = begin()
    assert eventually(lambda: len(eyes.waiting) == 1)
    shift.end()
    threading.Timer(0.2, shift.stop.request, (SIGTERM,)).start()
    start = time.monotonic()

    assert shift.service.close(shift.stop, 600) == 1

    assert time.monotonic() - start < SECONDS
    assert record(ledger, key).state == "new"


def test_a_worker_takes_on_what_is_enqueued_while_it_waits(
    redis: Redis, ledger: Ledger, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "WAIT_SECONDS", 4)
    begin()
    assert eventually(lambda: Worker.count(queue=Queue(PHOTOS, connection=redis)) == 1)
    time.sleep(0.2)
    start = time.monotonic()

    [key] = hear(redis, ledger, ("51",))

    assert verdict(ledger, key).best
    assert time.monotonic() - start < 2


def test_a_worker_outlives_an_outage_of_redis(tmp_path: Path, eyes: Eyes, judge: Judge) -> None:
    processes = Processes(lambda _name, _event: None)
    redis = queues.connect(start_valkey(processes, tmp_path))
    ledger, batcher = Ledger(redis), Batcher(calls=1, most=8)
    eyes.is_shut = True
    [key] = hear(redis, ledger, ("51",))
    shift = Shift(Service(redis, eyes.look, batcher, lambda: judge, photos=64))
    assert eventually(lambda: len(eyes.waiting) == 1)

    processes.kill("redis")
    time.sleep(0.5)
    start_valkey(processes, tmp_path)

    # What it had in hand it still has, within its lease; and it takes on more.
    assert eventually(lambda: Worker.count(queue=Queue(PHOTOS, connection=redis)) == 1, SECONDS)
    eyes.open()
    assert verdict(ledger, key).best
    new = Mention(network="mastodon", id="new", author="bob", created_at=datetime.now(UTC))
    ledger.ingest("mastodon", [Admission(new)])
    queues.enqueue(redis, PHOTOS, new.key)
    assert verdict(ledger, new.key).opinions == ()
    shift.end()
    batcher.close()
    redis.close()
    processes.stop()


def test_a_photo_on_the_web_is_fetched_decoded_and_judged(redis: Redis, ledger: Ledger, judge: Judge) -> None:
    downloader, decoders = Downloader(Limits(2, 5, private_addresses=True)), Decoders(1, DecodeLimits())
    batcher = Batcher(calls=1, most=8)
    looker = Looker(downloader, decoders, batcher.do)
    white = encoded(Image.new("RGB", (64, 48), "white"), "PNG")
    with web({"/white": file(white, "image/png")}) as site:
        photos = (Photo(medium="image", url=f"{site}/white"), Photo(medium="image", url=f"{site}/none"))
        mention = Mention(
            network="mastodon", id="1", author="ann", created_at=datetime.now(UTC), photos=photos
        )
        ledger.ingest("mastodon", [Admission(mention)])
        queues.enqueue(redis, PHOTOS, mention.key)
        shift = Shift(Service(redis, looker.look, batcher, lambda: judge, photos=8))

        seen, gone = verdict(ledger, mention.key).opinions
        assert isinstance(seen, Judged)
        assert (seen.score, gone) == (1, Declined(reason="not_found", value=404))
        shift.end()
    for part in (batcher, downloader, decoders):
        part.close()


def test_many_mentions_cost_few_round_trips(redis: Redis, ledger: Ledger, eyes: Eyes, judge: Judge) -> None:
    keys = hear(redis, ledger, *[("51",)] * 64)
    batcher = Batcher(calls=1, most=16)
    service = Service(redis, eyes.look, batcher, lambda: judge, photos=64)
    trips = counted(redis)
    shift = Shift(service)
    own = Redis(connection_pool=None, unix_socket_path=redis.connection_pool.connection_kwargs["path"])
    assert eventually(lambda: own.llen("rq:queue:replies") == 64)
    shift.end()

    assert trips[0] / len(keys) < 1
    assert own.scard("rq:workers") == 0
    own.close()
    batcher.close()


def test_verdicts_wait_a_moment_for_company_while_much_is_in_hand(
    redis: Redis, ledger: Ledger, eyes: Eyes, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for a machine that stands still meanwhile.
    monkeypatch.setattr(service, "LINGER_SECONDS", 2)
    eyes.is_shut = True
    keys = hear(redis, ledger, *[("10",)] * 32)
    begin()
    assert eventually(lambda: len(eyes.waiting) == len(keys))

    # One by one, at a pace at which each could be written alone.
    for _, side, then in eyes.waiting[:3]:
        then(Look(grey(10, side)))
        time.sleep(0.02)

    def ready() -> list[float]:
        records = [ledger.read(key) for key in keys]
        return [record.times["ready"] for record in records if record and record.state == "ready"]

    assert eventually(lambda: len(ready()) == 3)
    assert max(ready()) - min(ready()) < 0.02
