"""One run of benchmarks.faults: a bot, people, trouble, and what became of every mention."""

from __future__ import annotations

import contextlib
import json
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from redis import Redis, RedisError

from benchmarks.faults_director import Director
from benchmarks.faults_fleet import Fleet, environment
from benchmarks.faults_network import Answered, Network, open_network
from benchmarks.faults_plan import Options, plan
from bot.keys import OPEN
from tests.judges import brightness_judge
from tests.photos import encoded
from tests.web import file, web

PHOTOS = 16
LATE_SECONDS = 60
# After the last visible change; the bot's own longest pause is a minute.
PATIENCE_SECONDS = 90
# Without a protection, what is missing now will be missing for ever.
SHORT_PATIENCE_SECONDS = 25
# So long somebody who was stopped could still post a second reply.
SETTLE_SECONDS = 3
LOOK_SECONDS = 1
SHOWN = 10

Say = Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """What the network says in the end."""

    mentions: int
    answered: int
    lost: int
    double: int
    late: int
    kills: int
    seconds: float
    p50: float | None
    p95: float | None
    max: float | None
    seed: int
    without: str | None

    @property
    def is_broken(self) -> bool:
        """Whether the promise was."""
        return self.lost + self.double > 0


@dataclass(frozen=True)
class Stage:
    """All that takes part in a run."""

    fleet: Fleet
    network: Network
    redis: Redis
    photos: str
    """Address of the web server that has the photos."""


def run(options: Options, say: Say) -> Outcome:
    """Let it happen.

    Args:
        options: What is to happen.
        say: Called with a line of progress now and then.
    """
    directory = Path(tempfile.mkdtemp(prefix="faults-"))
    with _stage(directory, options) as stage:
        begin = time.monotonic()
        texts = [
            f"@deepselfie look {stage.photos}/{number % PHOTOS} number {number}"
            for number in range(options.mentions)
        ]
        director = Director(stage.fleet, stage.network, plan(options))
        acting = director.start()[0]
        threads = [*stage.network.post(texts, options.rate), acting]
        answers = _wait(stage, threads, options, say)
        director.stop()
        outcome = _outcome(answers, director.kills, time.monotonic() - begin, options)
        if outcome.is_broken:
            with contextlib.suppress(RedisError):
                _explain(stage, answers, say)
    if outcome.is_broken and options.without is None:
        say(f"logs and data are in {directory}")
    else:
        shutil.rmtree(directory)
    return outcome


@contextmanager
def _stage(directory: Path, options: Options) -> Iterator[Stage]:
    """Start everything, the bot's own processes last, and wait until it listens."""
    pages = {f"/{number}": file(_photo(number), "image/jpeg") for number in range(PHOTOS)}
    model = brightness_judge(directory / "judge.onnx")
    with web(pages) as photos, Fleet(directory) as fleet:
        redis_url = fleet.valkey()
        network = open_network(options.network, fleet, directory)
        settings = {**environment(redis_url, model), **network.environment}
        settings["DEEPSELFIE_WITHOUT"] = options.without or ""
        for name, command in {"worker": "work", "responder": "respond", "listener": "listen"}.items():
            copies = options.copies.get(name, 0)
            for copy in [f"{name}{number + 1}" for number in range(copies)] or [name]:
                fleet.deepselfie(copy, [command], settings)
        fleet.wait_for("listener", "stream open")
        for name in ("worker1", "responder1"):
            fleet.wait_for(name, '"ready"')
        with Redis.from_url(redis_url) as redis:
            yield Stage(fleet, network, redis, photos)


def _photo(number: int) -> bytes:
    """Small, but real."""
    kind = "PNG" if number % 4 == 0 else "JPEG"
    return encoded(Image.new("RGB", (48 + number, 64), (number * 16, 128, 255 - number * 16)), kind)


def _wait(stage: Stage, threads: Sequence[threading.Thread], options: Options, say: Say) -> list[Answered]:
    """Wait until every mention is answered and over, or nothing has changed for too long."""
    patience = SHORT_PATIENCE_SECONDS if options.without else PATIENCE_SECONDS
    begin = changed = time.monotonic()
    before: tuple[int, ...] = ()
    while True:
        time.sleep(LOOK_SECONDS)
        busy = any(thread.is_alive() for thread in threads)
        answers, still_open = stage.network.answers(), _still_open(stage.redis)
        now = len(answers), sum(a.replies > 0 for a in answers), sum(a.replies > 1 for a in answers)
        seconds = time.monotonic() - begin
        say(f"{seconds:4.0f} s  {now[0]} posted  {now[1]} answered  {now[2]} twice  {still_open} open")
        if busy or (*now, still_open) != before:
            changed = time.monotonic()
        before = (*now, still_open)
        done = now[0] == now[1] and still_open == 0
        if not busy and (done or time.monotonic() - changed > patience):
            time.sleep(SETTLE_SECONDS)
            return stage.network.answers()


def _still_open(redis: Redis) -> int:
    """How many mentions the ledger is not done with; -1 while Valkey is away."""
    try:
        found: Any = redis.zcard(OPEN)
    except RedisError:
        return -1
    return int(found)


def _outcome(answers: Sequence[Answered], kills: int, seconds: float, options: Options) -> Outcome:
    waited = sorted(answer.seconds for answer in answers if answer.seconds is not None)
    cuts = statistics.quantiles(waited, n=100, method="inclusive") if len(waited) > 1 else [None] * 99
    return Outcome(
        mentions=len(answers),
        answered=len(waited),
        lost=len(answers) - len(waited),
        double=sum(answer.replies > 1 for answer in answers),
        late=sum(second > LATE_SECONDS for second in waited),
        kills=kills,
        seconds=round(seconds, 1),
        p50=cuts[49] and round(cuts[49], 3),
        p95=cuts[94] and round(cuts[94], 3),
        max=round(waited[-1], 3) if waited else None,
        seed=options.seed,
        without=options.without,
    )


def _explain(stage: Stage, answers: Sequence[Answered], say: Say) -> None:
    """Show what the ledger has to say about what went wrong."""
    wrong = [answer for answer in answers if answer.replies != 1]
    for answer in wrong[:SHOWN]:
        record: Any = stage.redis.hgetall(f"deepselfie:mention:{answer.key}")
        fields = {field.decode(): value.decode() for field, value in record.items() if field != b"mention"}
        say(f"{answer.key}: {answer.replies} replies; the ledger: {json.dumps(fields)}")
