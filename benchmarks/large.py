"""A large judge, of the first @deepselfie's size: VGG16, with random weights.

In one process: how long it takes to load, what memory it takes with one call under way and with one a core,
and how many photos a second the worker's batcher gets through it, next to ONNX Runtime alone on the same
photos in the same process, in turns (the better of two ways to use all cores: one call with a thread a core,
or a call a core with one thread each). Then `deepselfie work` serves it: photos of 2048 pixels over HTTP, a
real Valkey, the ledger.

    python -m benchmarks.large [--photos N] [--rounds N] [--json]

`--json` prints one object: `ratio` (batcher over ONNX Runtime, the median over rounds), `batcher_per_second`,
`runtime_per_second`, `load_seconds`, `weights_mb`, `loaded_mb` (what loading adds to the process), `calls_mb`
(what a call a core adds to that), `peak_mb`; and the worker's `ready_seconds`, `worker_mb`, `worker_peak_mb`,
`worker_per_second`, `worker_cpu_ms` a photo.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue

import numpy as np

from benchmarks.large_judge import parameters, vgg16
from benchmarks.peers_ours import Ours
from benchmarks.pipeline_stage import stage
from model.cores import cores
from model.engine import CPU_BATCH, Engine, start
from model.judge import Judge
from model.patterns import patterns
from model.pixels import Pixels
from worker.batcher import Batcher

BATCH = 4
AT_ONCE = 32

Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=32, metavar="N", help="a round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="(%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    # So that what was started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        # Whoever makes the file has held its weights; who is measured begins afresh.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            file = process.submit(vgg16, Path(folder) / "large.onnx").result()
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            found = process.submit(alone, file, options.photos, options.rounds).result()
        found |= served(file, Path(folder), options.photos)
    found |= {"weights_mb": parameters() * 4 / 1e6, "cores": cores(), "load_before": load}
    print(json.dumps(found)) if options.json else show(found)


def alone(file: Path, photos: int, rounds: int) -> Row:
    """Load a judge in this process and put it to use, without a worker around it."""
    empty, begin = memory("VmRSS"), time.perf_counter()
    judge = Judge(file, Engine(threads=1))
    seconds, side = time.perf_counter() - begin, judge.card.input_size
    loaded = memory("VmRSS")
    squares = patterns(range(BATCH), side)
    calls(judge, squares, BATCH * cores())
    row = {
        "load_seconds": seconds,
        "loaded_mb": loaded - empty,
        "calls_mb": memory("VmRSS") - loaded,
        "peak_mb": memory("VmHWM"),
    }
    wide = start(file, cores())
    ways = (
        partial(batched, judge, squares),
        partial(calls, judge, squares),
        partial(
            one_call, lambda photos: wide.run(["probabilities", "embedding"], {"photos": photos}), squares
        ),
    )
    for way in ways:
        way(BATCH * cores())
    turns = [[timed(way, photos) for way in ways] for _ in range(rounds)]
    return row | compared(turns)


def compared(turns: list[list[float]]) -> Row:
    """Photos a second of the batcher and of the ways to do without it, by turn."""
    return {
        "ratio": statistics.median(ours / max(others) for ours, *others in turns),
        "batcher_per_second": statistics.median(ours for ours, *_ in turns),
        "runtime_per_second": statistics.median(max(others) for _, *others in turns),
    }


def timed(way: Callable[[int], object], photos: int) -> float:
    """Photos a second."""
    begin = time.perf_counter()
    way(photos)
    return photos / (time.perf_counter() - begin)


def batched(judge: Judge, squares: Pixels, count: int) -> None:
    """One photo after the other through the worker's batcher."""
    batcher = Batcher(calls=cores(), most=CPU_BATCH)
    opinions: SimpleQueue[object] = SimpleQueue()
    for number in range(count):
        batcher.submit(judge, squares[number % len(squares)], opinions.put)
    found = [opinions.get() for _ in range(count)]
    batcher.close()
    assert not any(isinstance(one, Exception) for one in found), "a photo was not judged"


def calls(judge: Judge, squares: Pixels, count: int) -> None:
    """A call a core at a time, each of a full batch."""
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(judge, [squares] * (count // BATCH)))


def one_call(run: Callable[[Pixels], object], squares: Pixels, count: int) -> None:
    """One call at a time, each of as many photos as all cores together had."""
    photos = np.concatenate([squares] * cores())
    for _ in range(count // len(photos)):
        run(photos)


def served(file: Path, folder: Path, photos: int) -> Row:
    """What the whole worker makes of it."""
    begin = time.perf_counter()
    with stage(folder, file) as there:
        ready, crowd = time.perf_counter() - begin, Ours(there)
        crowd.crowd(BATCH * cores(), at_once=AT_ONCE)
        used, begin = crowd.cpu(), time.perf_counter()
        crowd.crowd(photos, at_once=AT_ONCE)
        seconds, used = time.perf_counter() - begin, crowd.cpu() - used
        return {
            "ready_seconds": ready,
            "worker_mb": memory("VmRSS", there.worker),
            "worker_peak_mb": memory("VmHWM", there.worker),
            "worker_per_second": photos / seconds,
            "worker_cpu_ms": used / photos * 1000,
        }


def memory(field: str, pid: int | str = "self") -> float:
    """Megabytes of a process: VmRSS now, VmHWM at the most so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{field}:")[2].split()[0]) * 1024 / 1e6


def show(found: Row) -> None:
    lines = {
        "load": "{load_seconds:8.2f} s",
        "memory": "{loaded_mb:8.0f} MB for the judge, {weights_mb:.0f} MB of it weights",
        "": "{calls_mb:8.0f} MB more with a call a core; {peak_mb:.0f} MB in all at the most, while it loads",
        "ONNX Runtime": "{runtime_per_second:8.2f} photos/s",
        "batcher": "{batcher_per_second:8.2f} photos/s   ratio {ratio:.3f} (at least 0.95)",
        "worker": "{worker_per_second:8.2f} photos/s, {worker_cpu_ms:.0f} ms of CPU a photo",
        " ": "{ready_seconds:8.1f} s until ready, {worker_mb:.0f} MB, {worker_peak_mb:.0f} MB at the most",
    }
    print(f"VGG16, {parameters() / 1e6:.0f} million parameters, {found['cores']} cores\n")
    for name, words in lines.items():
        print(f"{name:14} {words.format(**found)}")


if __name__ == "__main__":
    main()
