"""The photos of a dataset as a judge sees them, decoded by all cores, a batch at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.cores import cores
from model.dataset.examples import Examples
from model.dataset.posts import DatasetError
from model.pixels import PhotoRejected, Pixels, squish

BATCH = 32  # larger ones are no faster on CPUs
WORTH_PROCESSES = 256  # photos; starting processes takes a second


@dataclass(frozen=True)
class Batch:
    """Some photos of a dataset, and those that could not be read."""

    photo: NDArray[np.int64]
    """(n,), which of the dataset's photos."""
    squares: Pixels
    """(n, side, side, 3)."""
    unreadable: dict[str, str]
    """Path of a photo → what is wrong with it."""


def squares(examples: Examples, side: int, title: str) -> Iterator[Batch]:
    """Decode all photos of a dataset, with a progress bar where somebody watches.

    Raises:
        DatasetError: A photo took the process down that decoded it.
    """
    starts = range(0, len(examples.photos), BATCH)
    parallel = cores() > 1 and len(examples.photos) >= WORTH_PROCESSES
    pool: AbstractContextManager[Executor | None] = (
        # Not forked: ONNX Runtime's threads may hold locks.
        ProcessPoolExecutor(cores(), get_context("spawn")) if parallel else nullcontext()
    )
    with pool as executor, tqdm(desc=title, total=len(examples.photos), unit="photo", disable=None) as bar:
        for start, (found, unreadable) in zip(starts, _decoded(examples, side, executor), strict=True):
            part = range(start, min(start + BATCH, len(examples.photos)))
            readable = [photo for photo in part if examples.photos[photo] not in unreadable]
            bar.update(len(part))
            yield Batch(np.array(readable, np.int64), found, unreadable)


Decoded = tuple[Pixels, dict[str, str]]


def _decoded(examples: Examples, side: int, executor: Executor | None) -> Iterator[Decoded]:
    jobs = (
        (examples.folder, examples.photos[start : start + BATCH], side)
        for start in range(0, len(examples.photos), BATCH)
    )
    if executor is None:
        yield from (_decode(*job) for job in jobs)
        return
    # No more than is needed to keep all cores busy: decoded photos are large.
    waiting: deque[Future[Decoded]] = deque()
    try:
        for job in jobs:
            waiting.append(executor.submit(_decode, *job))
            if len(waiting) > 2 * cores():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DatasetError(
            f"{examples.folder}: a photo took down the process that decoded it; "
            "free some memory, or find the photo with `deepselfie score`"
        ) from error


def _decode(folder: Path, photos: Sequence[str], side: int) -> Decoded:
    found: list[Pixels] = []
    unreadable = {}
    for photo in photos:
        try:
            found.append(squish((folder / photo).read_bytes(), side=side))
        except OSError as error:
            unreadable[photo] = f"cannot be read: {error.strerror}"
        except PhotoRejected as error:
            unreadable[photo] = str(error)
    return np.stack(found) if found else np.empty((0, side, side, 3), np.uint8), unreadable
