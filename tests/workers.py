"""Real workers around a ledger, with mentions put straight into it: no network, all load is theirs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from redis import Redis

from bot import queues
from bot.ledger import Ledger
from bot.messages import Mention, Photo
from bot.processes import Processes
from bot.record import Admission, Record
from tests.events import Log
from tests.photos import portrait_jpeg
from tests.waiting import eventually
from tests.web import Handler, file, web

READY_SECONDS = 30


class Workers:
    """Some workers that watch one judges' folder."""

    def __init__(self, redis: Redis, redis_url: str, folder: Path, site: str) -> None:
        self.log = Log()
        self.folder = folder
        self.ledger = Ledger(redis)
        self.processes = Processes(self.log)
        self._redis = redis
        self._site = site
        self._numbers = count()
        self.environment = os.environ | {
            "REDIS_URL": redis_url,
            "WORKER_MODELS": str(folder),
            "WORKER_PRIVATE_ADDRESSES": "allow",
            "LOG_FORMAT": "json",
        }

    def start(self, name: str = "worker") -> None:
        self.processes.deepselfie(name, ["work"], self.environment)
        self.processes.wait_for(name, "ready", READY_SECONDS)

    def mention(self, path: str = "/photo.jpg") -> str:
        """Mention the bot with a photo, and give the mention's key."""
        photo = Photo(medium="image", url=f"{self._site}{path}")
        number = str(next(self._numbers))
        mention = Mention(
            network="mastodon", id=number, author="ann", created_at=datetime.now(UTC), photos=(photo,)
        )
        self.ledger.ingest("mastodon", [Admission(mention)])
        queues.enqueue(self._redis, queues.PHOTOS, mention.key)
        return mention.key

    def record(self, key: str) -> Record:
        record = self.ledger.read(key)
        assert record
        return record

    def judged_by(self, key: str, seconds: float = 10) -> str:
        """Wait for a mention's verdict, and give its judge's version."""
        assert eventually(lambda: self.record(key).verdict is not None, seconds), self.record(key)
        record = self.record(key)
        assert record.verdict
        assert record.ends is None
        return record.verdict.judge.removeprefix("brightness ")

    def logged(self, event: str, seconds: float = 10, **fields: str) -> bool:
        """Whether an event is logged, or will soon be, that has these fields."""
        return eventually(
            lambda: any(fields.items() <= found.items() for found in self.log.named(event)), seconds
        )


class Crowd:
    """Mentions that come at a rate, until it is told to stop."""

    def __init__(self, workers: Workers, per_second: float) -> None:
        self._workers = workers
        self._pause = 1 / per_second
        self._stop = threading.Event()
        self.keys: list[str] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.wait(self._pause):
            self.keys.append(self._workers.mention("/slow.jpg"))

    def __enter__(self) -> Crowd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def slowly(handler: Handler, seconds: float) -> Handler:
    def answer(request: object) -> None:
        time.sleep(seconds)
        handler(request)  # type: ignore[arg-type]

    return answer


@contextmanager
def workers(redis: Redis, redis_url: str, folder: Path) -> Iterator[Workers]:
    """Workers, none of which runs yet, and a site with a photo that comes at once and one that does not."""
    photo = file(portrait_jpeg())
    with web({"/photo.jpg": photo, "/slow.jpg": slowly(photo, 0.3)}) as site:
        ours = Workers(redis, redis_url, folder, site)
        try:
            yield ours
        finally:
            ours.processes.stop()
