"""What a mention costs a worker besides its photos: RQ's records and the ledger, with a judge that is free.

In one run: bare round trips to the same Redis; RQ's own workers, that fork for each job or do not; and ours,
with few mentions in hand and with many. Then a pretend GPU, which takes 2 ms a call and 0.2 ms a photo.

    python -m benchmarks.queue [--mentions N] [--json]
"""

from __future__ import annotations

import argparse
import json
import logging
import resource
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np
from redis import Redis
from rq import Queue, SimpleWorker, Worker
from rq.serializers import JSONSerializer

from benchmarks import queue_job
from bot import jobs, queues
from bot.ledger import Ledger
from bot.messages import Mention, Photo
from bot.processes import Processes
from bot.record import Admission
from bot.valkey import start_valkey
from model.card import Card, Label
from model.judge import Judge, Opinions
from model.pixels import Pixels
from tests.trips import counted
from worker.batcher import Batcher
from worker.looker import Look
from worker.service import Service

SIDE = 16
PIXELS = np.zeros((SIDE, SIDE, 3), np.uint8)
CALL_SECONDS, PHOTO_SECONDS = 0.002, 0.0002

Row = dict[str, float]


class Pretend:
    """A judge that has no opinion, and takes as long over it as a GPU would."""

    card = Card(
        name="pretend",
        version="1",
        description="thinks nothing",
        labels=(Label(name="bad", value=0), Label(name="good", value=1)),
        input_size=SIDE,
        training="none",
        licence="MIT",
    )

    def __init__(self, call_seconds: float = 0, photo_seconds: float = 0) -> None:
        self._seconds = (call_seconds, photo_seconds)
        self.batches: list[int] = []

    def __call__(self, photos: Pixels) -> Opinions:
        """Judge photos of shape (n, S, S, 3)."""
        self.batches.append(len(photos))
        call, photo = self._seconds
        if call:
            time.sleep(call + photo * len(photos))
        half = np.full((len(photos), 2), 0.5, np.float32)
        return Opinions(half[:, 1], half, half)

    def label(self, _: object) -> str:
        """Name of a label."""
        return "good"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--mentions", type=int, default=4000, metavar="N", help="for our worker (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, the rows of the table in it")
    options = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as directory, server(Path(directory)) as url:
        rows = measure(url, options.mentions)
    batch = rows["ours, 8 in hand"]
    gpu = rows["ours, pretend GPU"]
    found = {
        "cpu_ms": batch["cpu_ms"],
        "round_trips": batch["round_trips"],
        "pretend_gpu_per_s": gpu["per_s"],
        "mean_batch": gpu["mean_batch"],
        "rows": rows,
    }
    print(json.dumps(found)) if options.json else show(rows)


@contextmanager
def server(directory: Path) -> Iterator[str]:
    processes = Processes(lambda _name, _event: None)
    try:
        yield start_valkey(processes, directory)
    finally:
        processes.stop()


def measure(url: str, mentions: int) -> dict[str, Row]:
    gpu = Pretend(CALL_SECONDS, PHOTO_SECONDS)
    rows = {
        "bare round trip": bare(url),
        "RQ, Worker": theirs(url, Worker, max(mentions // 50, 20)),
        "RQ, SimpleWorker": theirs(url, SimpleWorker, max(mentions // 8, 100)),
        "ours, 8 in hand": ours(url, Pretend(), mentions, in_hand=8),
        "ours, 64 in hand": ours(url, Pretend(), mentions, in_hand=64),
        "ours, pretend GPU": ours(url, gpu, mentions, in_hand=128),
    }
    rows["ours, pretend GPU"]["mean_batch"] = sum(gpu.batches) / len(gpu.batches)
    return rows


def bare(url: str, trips: int = 2000) -> Row:
    """The least that asking Redis anything costs."""
    redis = queues.connect(url)
    return timed(redis, trips, lambda: [redis.ping() for _ in range(trips)])


def theirs(url: str, kind: type[Worker | SimpleWorker], mentions: int) -> Row:
    """RQ's worker, with a job that does to the ledger what ours does."""
    redis = queues.connect(url)
    queue = Queue(jobs.PHOTOS, connection=redis, serializer=JSONSerializer)
    for key in hear(redis, mentions):
        queue.enqueue(
            "benchmarks.queue_job.judge", key, job_timeout=jobs.TIMEOUT_SECONDS, result_ttl=0, description=key
        )
    queue_job.LEDGER[:] = [Ledger(redis)]
    worker = kind([queue], connection=redis, serializer=JSONSerializer, log_job_description=False)
    return timed(redis, mentions, lambda: worker.work(burst=True, logging_level="CRITICAL"))


def ours(url: str, judge: Pretend, mentions: int, *, in_hand: int) -> Row:
    """Our worker, whose photos have no bytes to be fetched."""
    redis = queues.connect(url)
    keys = hear(redis, mentions)
    queues.enqueue(redis, jobs.PHOTOS, *keys)

    def look(_: Photo, __: int, then: Callable[[Look], None]) -> None:
        then(Look(PIXELS))

    batcher = Batcher(calls=1, most=32)
    service = Service(redis, look, batcher, lambda: cast(Judge, judge), photos=in_hand)
    stop = queues.Stop()
    probe = queues.connect(url)

    thread = threading.Thread(target=service.run, args=(stop,))

    def work() -> None:
        thread.start()
        while probe.llen("rq:queue:replies") < mentions:
            time.sleep(0.05)

    try:
        return timed(redis, mentions, work)
    finally:
        stop.request(signal.SIGTERM)
        thread.join()
        service.close(stop, 10)
        batcher.close()


def hear(redis: Redis, mentions: int) -> list[str]:
    """So many new mentions, in an empty ledger."""
    redis.flushall()
    photos = (Photo(medium="image", url="https://example.org/photo.jpg"),)
    now = datetime.now(UTC)
    heard = [
        Mention(network="mastodon", id=str(number), author="ann", created_at=now, photos=photos)
        for number in range(mentions)
    ]
    Ledger(redis).ingest("mastodon", [Admission(mention) for mention in heard])
    return [mention.key for mention in heard]


def timed(redis: Redis, mentions: int, work: Callable[[], object]) -> Row:
    """A mention's processor time, in children too, and round trips; and how many there are a second."""
    trips = counted(redis)
    cpu, begin = processor(), time.perf_counter()
    work()
    seconds, used, asked = time.perf_counter() - begin, processor() - cpu, trips[0]
    left = sum(record.state != "ready" for _, record in Ledger(redis).open())
    assert not left, f"{left} of {mentions} mentions were not judged"
    return {
        "cpu_ms": used / mentions * 1000,
        "round_trips": asked / mentions,
        "per_s": mentions / seconds,
    }


def processor() -> float:
    """Seconds of processor time so far, those of children too."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def show(rows: dict[str, Row]) -> None:
    print(f"{'a mention':20} {'CPU':>10} {'round trips':>12} {'a second':>10} {'photos a call':>14}")
    for name, row in rows.items():
        batch = f"{row['mean_batch']:14.1f}" if "mean_batch" in row else ""
        print(f"{name:20} {row['cpu_ms']:7.2f} ms {row['round_trips']:12.2f} {row['per_s']:10.0f} {batch}")


if __name__ == "__main__":
    main()
