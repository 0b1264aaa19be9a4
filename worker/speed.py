"""How fast this machine decodes and judges: a worker's parts as it runs them, without network or Redis."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from bot.messages import Judged
from model.batches import sizes
from model.cores import cores
from model.engine import BEST_FIRST, Engine, Provider, suited, trouble
from model.judge import DEFAULT_FILE, Judge
from model.patterns import patterns
from worker.batcher import batcher_of
from worker.decode import Decoders

PHOTO = (2048, 1536)
CPU_SIZES, GPU_SIZES = 8, 64


@dataclass(frozen=True)
class Rate:
    """What came of doing something again and again, in some threads at a time."""

    ms: float
    """Milliseconds it took once; the median."""
    per_s: float
    """Photos a second, of all threads together."""


def photo() -> bytes:
    """A JPEG that costs as much to decode as a camera's: soft shapes with grain."""
    shapes = Image.radial_gradient("L").resize(PHOTO).convert("RGB")
    grain = Image.effect_noise(PHOTO, 64).convert("RGB")
    file = BytesIO()
    Image.blend(shapes, grain, 0.1).save(file, "JPEG", quality=88)
    return file.getvalue()


def providers() -> list[Provider]:
    """What judges can run on here, the best first."""
    return [name for name in BEST_FIRST if trouble(name, DEFAULT_FILE) is None]


def engines(provider: Provider) -> list[Engine]:
    """What to try of a provider: as a worker would use it, and the other way to use the same cores."""
    here = cores()
    if provider != "cpu":
        return [suited(provider, here, size) for size in sizes(GPU_SIZES)]
    alone = [suited(provider, here, size) for size in (1, 2, 4, CPU_SIZES)]
    together = [Engine(provider, threads=here, calls=1, most=size) for size in (1, CPU_SIZES)]
    return alone + (together if here > 1 else [])


def decoding(file: bytes, decoders: Decoders, side: int, at_once: int, seconds: float) -> Rate:
    """How fast so many decoders at once make squares of this side from a photo."""
    return keep_busy(at_once, lambda: decoders.squish(file, side=side), seconds)


def judging(judge: Judge, engine: Engine, seconds: float) -> Rate:
    """How fast a judge is, with as many calls at a time and photos a call as an engine has."""
    photos = patterns(range(engine.most), judge.card.input_size)
    rate = keep_busy(engine.calls, lambda: judge(photos), seconds)
    return Rate(rate.ms, rate.per_s * len(photos))


def both(file: bytes, decoders: Decoders, judge: Judge, seconds: float) -> Rate:
    """How fast photos go from their bytes to their opinions, while decoders and judge share the machine."""
    batcher = batcher_of(judge.engine, decoders.count)
    threads = judge.engine.threads_beside(decoders.count)
    opinions: list[Judged | Exception] = []
    begin = time.perf_counter()

    def one() -> None:
        try:
            batcher.submit(judge, decoders.squish(file, side=judge.card.input_size), opinions.append)
        except Exception as error:
            opinions.append(error)
        if time.perf_counter() < begin + seconds:
            batcher.do(one)

    for _ in range(threads):
        batcher.do(one)
    batcher.close()
    taken = time.perf_counter() - begin
    for opinion in opinions:
        if isinstance(opinion, Exception):
            raise opinion
    return Rate(taken * threads / len(opinions) * 1000, len(opinions) / taken)


def keep_busy(threads: int, call: Callable[[], object], seconds: float) -> Rate:
    """Do something for a while in so many threads at a time, once before it counts."""
    call()
    until = time.perf_counter() + seconds
    took: list[float] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            took.extend(_durations(call, until))
        except Exception as error:
            failed.append(error)

    begin = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failed:
        raise failed[0]
    return Rate(statistics.median(took) * 1000, len(took) / (time.perf_counter() - begin))


def _durations(call: Callable[[], object], until: float) -> Iterator[float]:
    """Seconds of each call; at least one, however long it takes."""
    now = time.perf_counter()
    while True:
        call()
        before, now = now, time.perf_counter()
        yield now - before
        if now >= until:
            return
