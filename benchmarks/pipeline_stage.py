"""What the pipeline is measured on: a real Valkey, a web server, a worker, and who sends it mentions."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis

from benchmarks.decode import photo
from bot import jobs, queues
from bot.ledger import Ledger
from bot.messages import Mention, Photo
from bot.processes import Processes
from bot.record import Admission
from bot.valkey import start_valkey

WIDTH, HEIGHT = 2048, 1536
FILES = 8
READY_SECONDS = 60
PATIENCE_SECONDS = 120


@dataclass
class Stage:
    """A worker, what it needs, and who sends it mentions."""

    redis: Redis
    processes: Processes
    port: int
    photos: Sequence[bytes]
    sent: int = 0

    @property
    def worker(self) -> int:
        """The worker's process."""
        return self.processes.pid("worker")

    def hear(self, mentions: int) -> list[str]:
        """Write so many mentions down, as the listener does, and return their keys."""
        heard = [self._mention() for _ in range(mentions)]
        Ledger(self.redis).ingest("mastodon", [Admission(mention) for mention in heard])
        return [mention.key for mention in heard]

    def judge(self, keys: Sequence[str]) -> None:
        """Have mentions judged that were heard, and wait until all are."""
        queues.enqueue(self.redis, jobs.PHOTOS, *keys)
        self._wait(len(keys))

    def judge_steadily(self, mentions: int, rate: float) -> list[str]:
        """Hear of so many mentions a second, and have each judged at once; give their keys once all are."""
        keys, begin = [], time.monotonic()
        for number in range(mentions):
            time.sleep(max(0.0, begin + number / rate - time.monotonic()))
            keys += self.hear(1)
            queues.enqueue(self.redis, jobs.PHOTOS, keys[-1])
        self._wait(mentions)
        return keys

    def seconds(self, keys: Sequence[str]) -> list[float]:
        """From each judged mention's being heard of to its verdict; the replies that wait are forgotten."""
        records = [Ledger(self.redis).read(key) for key in keys]
        self.redis.delete(f"rq:queue:{jobs.REPLIES}")
        assert all(record and record.score is not None for record in records), "not all were judged"
        return [record.times["ready"] - record.times["new"] for record in records if record]

    def _wait(self, mentions: int) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while missing := mentions - self.redis.llen(f"rq:queue:{jobs.REPLIES}"):
            self.processes.check()
            if time.monotonic() > until:
                raise TimeoutError(f"{mentions} mentions were not judged within {PATIENCE_SECONDS} s")
            # Seldom: to be asked costs Redis something as well, which is counted.
            time.sleep(min(0.05, 0.003 * missing))

    def _mention(self) -> Mention:
        self.sent += 1
        url = f"http://127.0.0.1:{self.port}/{self.sent % len(self.photos)}.jpg"
        return Mention(
            network="mastodon",
            id=str(self.sent),
            author="ann",
            created_at=datetime.now(UTC),
            photos=(Photo(medium="image", url=url),),
        )


@contextmanager
def stage(directory: Path, model: Path) -> Iterator[Stage]:
    photos = [photo(WIDTH, HEIGHT + 8 * number) for number in range(FILES)]
    web = directory / "web"
    web.mkdir()
    for number, file in enumerate(photos):
        (web / f"{number}.jpg").write_bytes(file)
    processes = Processes(lambda _name, _event: None)
    try:
        processes.start("web", [sys.executable, "-m", "benchmarks.pipeline_web", str(web)], os.environ)
        port = processes.wait_for("web", "ready", READY_SECONDS)["port"]
        url = start_valkey(processes, directory)
        settings = {"REDIS_URL": url, "WORKER_PRIVATE_ADDRESSES": "allow", "WORKER_MODEL": str(model)}
        processes.deepselfie("worker", ["work"], os.environ | settings | {"LOG_FORMAT": "json"})
        processes.wait_for("worker", "ready", READY_SECONDS)
        yield Stage(queues.connect(url), processes, port, photos)
    finally:
        processes.stop()
