"""The photos of one part of a dataset, as training looks at them: files, counts of labels, and pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.dataset.examples import Examples
from model.training.config import Config
from model.training.failure import TrainingFailed
from model.training.loading import Indices

SMOKE_PHOTOS = {"train": 600, "validation": 200}
PAIR = "pair"
"""Column with what a photo and its edits have in common."""
NO_PAIR = ["-1", "", "None", "nan"]


@dataclass(frozen=True)
class Part:
    """p photos, each perhaps in several posts."""

    name: str
    files: tuple[Path, ...]
    counts: NDArray[np.float32]
    """(p, K): how many posts of each label a photo has."""
    worth: NDArray[np.float32]
    """(p,): a photo's mean label, 0-1 from worst to best by the labels' values."""
    partner: Indices
    """(p,): which photo it is an edit of; -1 for none."""
    shots: NDArray[np.str_]
    """(p,): photos of one shot have the same."""

    @cached_property
    def posts_a_photo(self) -> float:
        """Mean."""
        return float(self.counts.sum() / len(self.counts))

    def ranked(self, indices: Indices, readable: NDArray[np.bool_]) -> tuple[Indices, Indices]:
        """Rows of a batch (n,) that are pairs: of the better photos, and of the worse ones, (q,) each."""
        row = {int(index): at for at, index in enumerate(indices) if readable[at]}
        better, worse = [], []
        for index in row:
            other = int(self.partner[index])
            if other in row and self.worth[index] != self.worth[other]:
                first, second = (index, other) if self.worth[index] > self.worth[other] else (other, index)
                better.append(row[first])
                worse.append(row[second])
        return np.array(better, np.int64), np.array(worse, np.int64)

    def batches(self, size: int, seed: tuple[int, ...] | None = None) -> list[Indices]:
        """Indices of the photos, in batches; in random order if there is a seed.

        A photo is followed by its edits, so that they meet in a batch.
        """
        root = np.where(self.partner < 0, np.arange(len(self.files)), self.partner)
        order = np.arange(len(self.files))
        if seed is not None:
            key = np.random.default_rng(seed).permutation(len(self.files))
            order = np.lexsort((np.where(self.partner < 0, -1, key), key[root]))
        return np.split(order, range(size, len(order), size))


def part(examples: Examples, name: str, config: Config) -> Part:
    """Take one part of a dataset; of a smoke test's, only a few photos.

    Raises:
        TrainingFailed: There is nothing to learn from in it.
    """
    chosen = examples.part(name)
    count = len(chosen.photos)
    if not count:
        raise TrainingFailed(f"{examples.folder} has no {name} photos; label it again with a {name} part")
    kept = np.arange(count)
    if config.smoke and count > SMOKE_PHOTOS[name]:
        kept = np.sort(np.random.default_rng(config.seed).choice(count, SMOKE_PHOTOS[name], replace=False))
    counts = chosen.counts()[kept]
    if name == "train" and (counts.sum(0) > 0).sum() < 2:
        only = chosen.labels[int(counts.sum(0).argmax())].name
        raise TrainingFailed(f"all training photos of {examples.folder} are {only!r}; two labels are needed")
    values = np.array([label.value for label in chosen.labels], np.float32)
    return Part(
        name,
        tuple(chosen.folder / chosen.photos[index] for index in kept),
        counts,
        counts @ values / counts.sum(1),
        _partners(chosen, kept) if config.rank else np.full(len(kept), -1),
        _shots(chosen, config.alike)[kept] if config.alike else np.empty(0, str),
    )


def _shots(examples: Examples, column: str) -> NDArray[np.str_]:
    if column not in examples.columns:
        there = ", ".join(sorted(examples.columns))
        raise TrainingFailed(f"--alike is {column!r}, {examples.folder} has no such column, but {there}")
    return _of_photos(examples, column)


def _partners(examples: Examples, kept: Indices) -> Indices:
    """Of the photos with the same in PAIR, those after the first are edits of it."""
    if PAIR not in examples.columns:
        raise TrainingFailed(f"--rank needs a column {PAIR!r} in {examples.folder}; leave it out")
    pair = _of_photos(examples, PAIR)[kept]
    _, first, which = np.unique(pair, return_index=True, return_inverse=True)
    partner = first[which]
    alone = (partner == np.arange(len(kept))) | np.isin(pair, NO_PAIR)
    if alone.all():
        raise TrainingFailed(
            f"--rank needs photos with the same in the column {PAIR!r}, {examples.folder} has none; "
            "leave it out"
        )
    return np.where(alone, -1, partner)


def _of_photos(examples: Examples, column: str) -> NDArray[np.str_]:
    """What a column says of each photo, as text."""
    values = np.empty(len(examples.photos), dtype=object)
    values[examples.photo] = examples.columns[column]
    return values.astype(str)
