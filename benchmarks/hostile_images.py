"""Files of any kind through the decoders of the worker: what became of each, and what it cost."""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from model.cores import cores
from model.pixels import PhotoRejected
from worker.decode import Decoders, Limits

SIDE = 224

# Linux counts kilobytes, macOS bytes.
RSS_UNITS_PER_MEGABYTE = 1 << 20 if sys.platform == "darwin" else 1 << 10


@dataclass(frozen=True)
class Outcome:
    """How the decoders fared."""

    outcomes: dict[str, int]
    """How many files were decoded, and how many refused for which reason."""
    slowest_s: float
    slowest: str
    """The name of the file that took that long."""
    peak_rss_mb: float
    """Of the largest decoder, ever."""
    crashed: int
    """Decoders that a file has ended."""
    overrun: int
    """Decoders that were ended because a file took too long."""


def decode_all(files: Sequence[Path]) -> Outcome:
    """Decode files as the worker would, as many at a time as there are cores."""
    count = cores()
    decoders = Decoders(count, Limits())

    def decode(file: Path) -> tuple[float, str, str]:
        photo = file.read_bytes()
        begin = time.perf_counter()
        outcome = _decoded(decoders, photo)
        return time.perf_counter() - begin, outcome, file.name

    with ThreadPoolExecutor(count) as threads:
        found = threads.map(decode, files)
        rows = list(tqdm(found, total=len(files), desc="photos", unit="", leave=False, disable=None))
    decoders.close()
    seconds, _, name = max(rows, default=(0.0, "", ""))
    return Outcome(
        outcomes=dict(Counter(outcome for _, outcome, _ in rows).most_common()),
        slowest_s=round(seconds, 3),
        slowest=name,
        peak_rss_mb=round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / RSS_UNITS_PER_MEGABYTE, 1),
        crashed=decoders.crashed,
        overrun=decoders.overrun,
    )


def _decoded(decoders: Decoders, photo: bytes) -> str:
    try:
        decoders.squish(photo, side=SIDE)
    except PhotoRejected as rejected:
        return rejected.fault
    # Whatever else may come out is what this benchmark looks for.
    except Exception as error:
        return f"unforeseen {type(error).__name__}"
    return "decoded"
