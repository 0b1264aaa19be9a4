"""Photos from a disk into batches: read, decoded, squished and augmented by processes of their own.

Threads would wait for each other: two of them squish fewer photos than one, two processes twice as many.
What they make goes into memory that they share with the trainer, so that no photo is copied through a pipe.
Nothing here imports torch: these processes start in a moment.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.pixels import PhotoRejected, Pixels, squish
from model.training.augmentation import augmented
from model.training.config import OFF, Augmentation
from model.training.failure import TrainingFailed

Indices = NDArray[np.int64]

AHEAD = 3
"""Batches in the making, besides the one in use."""
CHUNK = 8
"""Photos that a process takes at once."""


@dataclass(frozen=True)
class Batch:
    """n photos, and which of them could be read."""

    indices: Indices
    """(n,) into the loader's files."""
    photos: Pixels
    """(n, side, side, 3); of use until the next batch is asked for."""
    faults: dict[int, str]
    """Index and reason of each photo that could not be read; its square is black."""


@dataclass(frozen=True)
class _Task:
    files: tuple[tuple[int, str], ...]
    slot: int
    augmentation: Augmentation
    seed: tuple[int, int]


class Loader:
    """Processes that load the photos of one dataset.

    Args:
        files: The photos' files; batches are indices into them.
        side: Of the squares, in pixels.
        batch: Photos a batch at the most.
        processes: How many; 0 stands for one a core.
    """

    def __init__(self, files: Sequence[Path], side: int, batch: int, processes: int = 0) -> None:
        self.files, self.side, self.batch = files, side, batch
        # Memory with a file's name and none on a disk: it is gone with the last process that uses it.
        self._memory = os.memfd_create("batches")
        os.posix_fallocate(self._memory, 0, (AHEAD + 1) * batch * side * side * 3)
        name = f"/proc/{os.getpid()}/fd/{self._memory}"
        self._squares = _mapped(name, side)
        self._pool = ProcessPoolExecutor(
            processes or len(os.sched_getaffinity(0)),
            get_context("spawn"),
            _attach,
            (name, side),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)
        os.close(self._memory)

    def load(
        self, batches: Sequence[Indices], augmentation: Augmentation = OFF, seed: tuple[int, int] = (0, 0)
    ) -> Iterator[Batch]:
        """Load batches, in their order, a few ahead of the one in use.

        Args:
            batches: Indices of the photos of each batch.
            augmentation: How far photos are changed.
            seed: With a photo's index, it says how exactly.

        Raises:
            TrainingFailed: A process has died.
        """
        waiting: deque[tuple[int, list[Future[dict[int, str]]]]] = deque()
        try:
            for number in range(len(batches) + AHEAD):
                if number < len(batches):
                    start = number % (AHEAD + 1) * self.batch
                    waiting.append((start, self._begin(batches[number], start, augmentation, seed)))
                if number >= AHEAD:
                    start, parts = waiting.popleft()
                    faults = {index: why for part in parts for index, why in part.result().items()}
                    indices = batches[number - AHEAD]
                    yield Batch(indices, self._squares[start : start + len(indices)], faults)
        except BrokenProcessPool as error:
            raise TrainingFailed(
                "a process that loads photos has died, for want of memory perhaps; "
                "run the same command again, with fewer --processes or a smaller --batch"
            ) from error
        finally:
            # Nobody may write into slots that the next call gives out.
            for _, parts in waiting:
                for part in parts:
                    part.cancel() or part.exception()

    def _begin(
        self, indices: Indices, start: int, augmentation: Augmentation, seed: tuple[int, int]
    ) -> list[Future[dict[int, str]]]:
        files = [(int(index), str(self.files[index])) for index in indices]
        return [
            self._pool.submit(_fill, _Task(tuple(files[at : at + CHUNK]), start + at, augmentation, seed))
            for at in range(0, len(files), CHUNK)
        ]


_squares: list[Pixels] = []
"""In a loading process: where to put photos."""


def _mapped(file: str, side: int) -> Pixels:
    return np.memmap(file, np.uint8, "r+").reshape(-1, side, side, 3)


def _attach(file: str, side: int) -> None:
    """Begin a loading process."""
    Thread(target=_end_with_trainer, daemon=True).start()
    _squares.append(_mapped(file, side))


def _end_with_trainer() -> None:
    # A killed trainer cannot end its processes, and they would wait for work for ever.
    if trainer := parent_process():
        wait([trainer.sentinel])
        os._exit(1)


def _fill(task: _Task) -> dict[int, str]:
    """Load photos into their slots; returns what is wrong with those that cannot be read."""
    squares = _squares[-1]
    faults = {}
    for slot, (index, file) in enumerate(task.files, task.slot):
        try:
            photo = squish(Path(file).read_bytes(), side=squares.shape[1])
            squares[slot] = augmented(photo, task.augmentation, (*task.seed, index))
        except OSError as error:
            faults[index] = f"{file} cannot be read: {error.strerror}"
        except PhotoRejected as error:
            faults[index] = f"{file}: {error}"
        if index in faults:
            squares[slot] = 0
    return faults
