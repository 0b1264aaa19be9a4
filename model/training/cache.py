"""What the frozen part of a network makes of each photo, kept on disk: computed once, used often.

Where nothing is frozen, or photos are augmented, the decoded squares are kept instead. A cache that was cut
off is gone on with; its name says what it belongs to.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from model.training.failure import TrainingFailed
from model.training.loading import Indices, Loader
from model.training.trunk import Rows

ABSENT, PRESENT, UNREADABLE = 0, 1, 2
MOST_UNREADABLE = 0.1


class Cache:
    """Rows of a few arrays, one row a photo, in memory-mapped files.

    Args:
        folder: Where its files are, or will be.
        rows: How many photos.
        likes: One row of each array, without its first axis: its shape and type are taken.

    Raises:
        TrainingFailed: There is no room for it.
    """

    def __init__(self, folder: Path, rows: int, likes: Sequence[NDArray[np.generic]]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.state = _mapped(folder / "state", np.dtype(np.uint8), (rows,))
            self.arrays = [
                _mapped(folder / f"rows-{number}", like.dtype, (rows, *like.shape))
                for number, like in enumerate(likes)
            ]
        except OSError as error:
            size = rows * sum(like.nbytes for like in likes) / 1e9
            raise TrainingFailed(
                f"{folder} has no room for {size:.1f} GB ({error.strerror}); make room, "
                "name another place with --cache-folder, or do without by --cache 0"
            ) from error

    def fill(self, loader: Loader, compute: Callable[[NDArray[np.uint8]], Rows], what: str) -> None:
        """Compute the rows that are absent.

        Args:
            loader: Whose files are this cache's rows, in the same order.
            compute: Squares (n, side, side, 3) → rows (n, …) of each array.
            what: For the progress bar.
        """
        absent = np.flatnonzero(self.state == ABSENT)
        batches = np.split(absent, range(loader.batch, len(absent), loader.batch)) if len(absent) else []
        with tqdm(
            desc=what, total=len(self.state), initial=len(self.state) - len(absent), disable=None
        ) as bar:
            for batch in loader.load(batches):
                for array, rows in zip(self.arrays, compute(batch.photos), strict=True):
                    array[batch.indices] = _fitting(rows, array.dtype)
                self.state[batch.indices] = PRESENT
                for index, why in batch.faults.items():
                    self.state[index] = UNREADABLE
                    leave_out(why)
                bar.update(len(batch.indices))
        check_readable(self.readable)

    @property
    def is_full(self) -> bool:
        """Whether all rows have been computed."""
        return not (self.state == ABSENT).any()

    @property
    def readable(self) -> NDArray[np.bool_]:
        """Which photos could be read, (rows,)."""
        readable: NDArray[np.bool_] = self.state != UNREADABLE
        return readable

    def rows(self, indices: Indices) -> list[NDArray[np.generic]]:
        """Some photos' rows of each array, copied."""
        return [np.asarray(array[indices]) for array in self.arrays]


def leave_out(why: str) -> None:
    """Tell of a photo that cannot be read, without spoiling a progress bar."""
    tqdm.write(f"left out: {why}", file=sys.stderr)


def check_readable(readable: NDArray[np.bool_]) -> None:
    """Raise TrainingFailed where many photos could not be read."""
    lost = int((~readable).sum())
    if lost > MOST_UNREADABLE * len(readable):
        raise TrainingFailed(
            f"{lost} of {len(readable)} photos cannot be read, limit is {MOST_UNREADABLE:.0%}; "
            "put them where labelled.parquet says, or label again, and remove the cache"
        )


def _fitting(rows: NDArray[np.generic], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Rows as another type; what 16 bits cannot hold becomes the most that they can."""
    if kind == np.float16:
        most = np.finfo(np.float16).max
        return rows.clip(-most, most).astype(kind)
    return rows.astype(kind, copy=False)


def _mapped(file: Path, kind: np.dtype[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    if not (size := kind.itemsize * math.prod(shape)):
        return np.zeros(shape, kind)
    with file.open("ab") as target:
        # A disk that fills up under a mapped file ends the process; here it is an error.
        os.posix_fallocate(target.fileno(), 0, size)
    return np.memmap(file, kind, "r+", shape=shape)
