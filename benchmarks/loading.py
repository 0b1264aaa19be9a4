"""Whether loading keeps up with decoding: decode, squish and augment into batches, against the decoder alone.

The decoder alone is `squish` on the same files, in as many bare processes, which throw its squares away. Both
take turns, a few photos each, so that whatever else the machine does slows both.

    python -m benchmarks.loading [--photos N] [--json]

`--json` prints one object: `loading` and `decoding` in photos a second (medians), their `ratio` (the median
over the turns), `cpu_ratio` (the same in seconds of CPU a photo), and `processes`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np

from model.pixels import squish
from model.training.config import ON
from model.training.loading import CHUNK, Loader
from tests.photos import portrait_jpeg

SIDE = 224
BATCH = 64
WIDTH, HEIGHT = 1080, 1350  # what phones post
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=4096, metavar="N", help="photos that each decodes")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    found = measure(max(options.photos // (2 * BATCH), 3))
    if options.json:
        print(json.dumps(found))
    else:
        processes = found["processes"]
        print(
            f"loading {found['loading']:.0f} photos/s, decoder alone {found['decoding']:.0f}, "
            f"ratio {found['ratio']:.2f}, {found['cpu_ratio']:.2f} by CPU time; {processes} processes"
        )


def measure(turns: int) -> dict[str, float]:
    """Let both decode two batches a turn."""
    processes = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory) / f"{number}.jpg" for number in range(2 * BATCH)]
        for number, file in enumerate(files):
            file.write_bytes(portrait_jpeg(WIDTH, HEIGHT + number % 8))
        batches = np.split(np.arange(len(files)), 2)
        with Loader(files, SIDE, BATCH, processes) as loader, _bare(processes) as bare:

            def load() -> None:
                for batch in loader.load(batches, ON):
                    assert not batch.faults

            def decode() -> None:
                assert all(bare.map(_decode, map(str, files), chunksize=CHUNK))

            load()
            decode()
            loading, decoding = zip(*((_timed(load), _timed(decode)) for _ in range(turns)), strict=True)
    both = list(zip(decoding, loading, strict=True))
    return {
        "loading": len(files) / statistics.median(seconds for seconds, _ in loading),
        "decoding": len(files) / statistics.median(seconds for seconds, _ in decoding),
        "ratio": statistics.median(one[0] / other[0] for one, other in both),
        "cpu_ratio": statistics.median(one[1] / other[1] for one, other in both),
        "processes": processes,
    }


def _bare(processes: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(processes, get_context("spawn"))


def _decode(file: str) -> bool:
    return squish(Path(file).read_bytes(), side=SIDE).any().item()


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and seconds of CPU of this process and its children, that some work takes."""
    cpu, begin = _cpu(), time.perf_counter()
    work()
    return time.perf_counter() - begin, _cpu() - cpu


def _cpu() -> float:
    children = (Path(f"/proc/{child.pid}/stat").read_text() for child in active_children())
    ticks = sum(sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in children)
    return ticks / TICKS + time.process_time()


if __name__ == "__main__":
    main()
