"""Where a part's inputs come from, batch by batch: fresh from the disk, or out of a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray

from model.pixels import Pixels
from model.training.augmentation import augmented
from model.training.cache import Cache, check_readable, leave_out
from model.training.config import Augmentation, Config
from model.training.loading import Indices, Loader
from model.training.parts import Part
from model.training.trunk import Rows, Trunk, runner
from model.training.weights import identity

LOADED_AT_ONCE = 64


@dataclass(frozen=True)
class Means:
    """What a run may use of the machine; none of it changes what is learned."""

    cache_gb: float = 10.0
    """Largest cache of a part, in gigabytes; 0: none."""
    cache_folder: Path | None = None
    """Where caches are kept; by default in the run's folder."""
    processes: int = 0
    """That load photos; 0: one a core."""
    save_seconds: float = 300.0
    """Between two checkpoints within an epoch."""


@dataclass(frozen=True)
class Fed:
    """A batch of n photos for a `Learner`."""

    indices: Indices
    inputs: tuple[torch.Tensor, ...]
    readable: NDArray[np.bool_]
    """(n,): photos that could not be read count for nothing."""


class Source(Protocol):
    """What feeds a learner."""

    def feed(
        self, batches: Sequence[Indices], augmentation: Augmentation, seed: tuple[int, int]
    ) -> Iterator[Fed]:
        """Give the inputs of some batches, in their order."""


class FromDisk:
    """Photos are decoded again in each epoch, by other processes, while the last batch is learned from."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.readable = np.ones(len(loader.files), bool)

    def feed(
        self, batches: Sequence[Indices], augmentation: Augmentation, seed: tuple[int, int]
    ) -> Iterator[Fed]:
        """Give photos, uint8 (n, side, side, 3)."""
        for batch in self.loader.load(batches, augmentation, seed):
            for index, why in batch.faults.items():
                if self.readable[index]:
                    leave_out(why)
                self.readable[index] = False
            check_readable(self.readable)
            yield Fed(batch.indices, (torch.from_numpy(batch.photos),), self.readable[batch.indices])


class FromCache:
    """Squares, or what the frozen part makes of them, have been kept."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache

    def feed(
        self, batches: Sequence[Indices], augmentation: Augmentation, seed: tuple[int, int]
    ) -> Iterator[Fed]:
        """Give photos, or maps and what was pooled before them, or features."""
        for indices in batches:
            rows = self.cache.rows(indices)
            if rows[0].dtype == np.uint8:
                photos = zip(rows[0], indices, strict=True)
                rows = [np.stack([augmented(photo, augmentation, (*seed, int(i))) for photo, i in photos])]
            yield Fed(indices, tuple(map(torch.from_numpy, rows)), self.cache.readable[indices])


@dataclass(frozen=True)
class Setting:
    """What a run's sources have in common."""

    config: Config
    means: Means
    folder: Path
    """Where caches are kept."""
    fingerprint: str
    """Of the dataset."""
    accelerator: Accelerator


def source(part: Part, trunk: Trunk, setting: Setting, closing: ExitStack) -> Source:
    """Decide where a part's inputs come from, and fill the cache if there is to be one.

    What the frozen blocks make of photos is kept if photos are not augmented, else decoded squares are; each
    if it is small enough.

    Args:
        part: Whose photos.
        trunk: The frozen part.
        setting: The run's.
        closing: Ends processes when the run ends.
    """
    trunk.eval()
    side, augmentation = trunk.network.side, setting.config.augmentation
    likes = []
    if trunk.depth and not (augmentation.any and part.name == "train"):
        likes.append(_like(trunk))
    likes.append([np.zeros((side, side, 3), np.uint8)])
    for like in likes:
        if len(part.files) * sum(row.nbytes for row in like) <= setting.means.cache_gb * 1e9:
            return FromCache(_filled(part, trunk, setting, like))
    share = -(-setting.config.batch // setting.accelerator.num_processes)
    return FromDisk(closing.enter_context(Loader(part.files, side, share, setting.means.processes)))


def _like(trunk: Trunk) -> list[NDArray[np.generic]]:
    """What is kept of one photo: maps in 16 bits, features in 32."""
    with torch.no_grad():
        outputs = trunk(torch.zeros(1, trunk.network.side, trunk.network.side, 3, dtype=torch.uint8))
    return [output[0].numpy().astype(np.float16 if output.ndim > 2 else np.float32) for output in outputs]


def _filled(part: Part, trunk: Trunk, setting: Setting, like: list[NDArray[np.generic]]) -> Cache:
    squares = like[0].dtype == np.uint8
    cache = Cache(setting.folder / _name(part, trunk, setting, squares=squares), len(part.files), like)
    if setting.accelerator.is_local_main_process and not cache.is_full:
        with Loader(part.files, trunk.network.side, LOADED_AT_ONCE, setting.means.processes) as loader:
            run = _as_it_is if squares else runner(trunk, setting.accelerator.device, len(part.files))
            cache.fill(loader, run, f"{part.name} photos")
    setting.accelerator.wait_for_everyone()
    return cache


def _as_it_is(photos: Pixels) -> Rows:
    return (photos,)


def _name(part: Part, trunk: Trunk, setting: Setting, *, squares: bool) -> str:
    """A name that only the same rows of the same photos have."""
    config = setting.config
    of: list[object] = [setting.fingerprint, part.name, len(part.files), config.smoke and config.seed]
    if squares:
        of.append(trunk.network.side)
    else:
        weights = identity(trunk.network.backbone, config.weights)
        of += [config.backbone, config.pooling, trunk.depth, weights or config.seed]
    return f"{part.name}-{hashlib.sha256(repr(of).encode()).hexdigest()[:16]}"
