"""The limit of the pipeline: the same photos decoded, and judged by ONNX Runtime, with nothing around it.

A process a core, each with the worker's own `squish` and a session of its own, in turns as long as those of
the worker that they are compared with. Of the sizes of batch and numbers of threads the best one counts.
"""

from __future__ import annotations

import http.client
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from model.cores import cores
from model.engine import Engine
from model.judge import Judge
from model.pixels import Pixels, squish
from worker.memory import keep_freed

BATCHES = (1, 4, 8, 16)
CALIBRATION = 64

Row = dict[str, float]


@dataclass(frozen=True)
class Setting:
    """How ONNX Runtime is called: by how many processes, with how many threads and photos a call."""

    processes: int
    threads: int
    batch: int

    def __str__(self) -> str:
        return f"{self.processes} processes, {self.threads} threads a call, {self.batch} photos"


class Limit:
    """Processes that decode and judge, as fast as they can.

    Args:
        workers: What talks to each of them.
    """

    def __init__(self, workers: Sequence[Connection]) -> None:
        self._workers = workers
        every = [Setting(len(workers), 1, batch) for batch in BATCHES]
        if len(workers) > 1:
            every += [Setting(1, len(workers), batch) for batch in BATCHES]
        self._judge(every[0], CALIBRATION)
        tried = {setting: self._judge(setting, CALIBRATION) for setting in every}
        self.cheapest = min(tried, key=lambda setting: tried[setting]["cpu"])
        self.fastest = min(tried, key=lambda setting: tried[setting]["seconds"])

    def turn(self, photos: int) -> Row:
        """CPU seconds and seconds of decoding and of judging so many photos."""
        decode = self._run(len(self._workers), partial(_ask, "decode", photos // len(self._workers), ()))
        cheapest = self._judge(self.cheapest, photos)
        fastest = cheapest if self.fastest == self.cheapest else self._judge(self.fastest, photos)
        return {
            "decode_cpu": decode["cpu"],
            "judge_cpu": cheapest["cpu"],
            "seconds": decode["seconds"] + min(cheapest["seconds"], fastest["seconds"]),
        }

    def _judge(self, setting: Setting, photos: int) -> Row:
        how = (setting.threads, setting.batch)
        return self._run(setting.processes, partial(_ask, "judge", photos // setting.processes, how))

    def _run(self, processes: int, ask: Callable[[Connection], None]) -> Row:
        begin = time.perf_counter()
        for worker in self._workers[:processes]:
            ask(worker)
        cpu = sum(worker.recv() for worker in self._workers[:processes])
        return {"cpu": cpu, "seconds": time.perf_counter() - begin}


def _ask(what: str, photos: int, how: tuple[int, ...], worker: Connection) -> None:
    worker.send((what, photos, how))


@contextmanager
def limit(model: Path, photos: Sequence[bytes]) -> Iterator[Limit]:
    """The processes, ready."""
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(cores())]
    processes = [context.Process(target=_serve, args=(theirs, model, photos)) for _, theirs in pipes]
    for process in processes:
        process.start()
    try:
        yield Limit([ours for ours, _ in pipes])
    finally:
        for process in processes:
            process.kill()
            process.join()


def _serve(pipe: Any, model: Path, photos: Sequence[bytes]) -> None:
    # As decoders do, or the limit would be higher than need be.
    keep_freed(megabytes=64, of_at_most=32)
    judges = {threads: Judge(model, Engine(threads=threads)) for threads in {1, cores()}}
    side = judges[1].card.input_size
    squares: list[Pixels] = [squish(photo, side=side) for photo in photos]
    while True:
        what, count, how = pipe.recv()
        begin = time.process_time()
        if what == "decode":
            for number in range(count):
                squish(photos[number % len(photos)], side=side)
        else:
            threads, batch = how
            for first in range(0, count, batch):
                judges[threads](
                    np.stack([squares[n % len(squares)] for n in range(first, min(first + batch, count))])
                )
        pipe.send(time.process_time() - begin)


class Alone:
    """The steps of one photo's way, one after the other in this process, as a quiet worker takes them.

    Args:
        model: The judge's file.
        port: Where the photos are.
    """

    def __init__(self, model: Path, port: int) -> None:
        keep_freed(megabytes=64, of_at_most=32)
        self._judges = [Judge(model, Engine(threads=threads)) for threads in sorted({1, cores()})]
        self._web = http.client.HTTPConnection("127.0.0.1", port)
        self.seconds: dict[str, list[float]] = {"download": [], "decode": []}
        self.seconds |= {f"judge {number}": [] for number in range(len(self._judges))}

    def measure(self, path: str) -> None:
        """Take the steps once."""
        begin = time.perf_counter()
        self._web.request("GET", path)
        photo = self._web.getresponse().read()
        self._took("download", begin)
        begin = time.perf_counter()
        square = squish(photo, side=self._judges[0].card.input_size)
        self._took("decode", begin)
        for number, judge in enumerate(self._judges):
            begin = time.perf_counter()
            judge(square[np.newaxis])
            self._took(f"judge {number}", begin)

    def _took(self, step: str, begin: float) -> None:
        self.seconds[step].append(time.perf_counter() - begin)

    @property
    def steps(self) -> Row:
        """The median of each; of the judge's numbers of threads, the faster."""
        medians = {step: statistics.median(seconds) for step, seconds in self.seconds.items()}
        judge = min(medians.pop(f"judge {number}") for number in range(len(self._judges)))
        return medians | {"judge": judge}
