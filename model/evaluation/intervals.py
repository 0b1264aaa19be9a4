"""How far a number may be off by the luck of the draw: the bootstrap, over what is independent.

Posts are not. Those that show one photo share its score, and those of one author share an audience and a
taste: a hundred posts of one photo say little more than one. Drawing posts anew would take them for a hundred
and give an interval that is far too narrow. So whole photos or whole authors are drawn, whichever are fewer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.dataset.examples import Examples
from model.evaluation.metrics import Array

RESAMPLES = 1000
CONFIDENCE = 0.95
_AT_ONCE = 4_000_000  # numbers in memory, of resamples times posts


@dataclass(frozen=True)
class Interval:
    """A measured number, and where 95 of 100 draws would put it."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, draws: Array, *, chosen_from: int = 1) -> Interval:
        """Make one of a value and what it is in resamples.

        Args:
            value: As it was measured.
            draws: Its value in each resample, (b,); those that are nan say nothing.
            chosen_from: How many values it was picked from for being extreme. Of enough, one is far off by
                luck, so the interval is made wide enough to hold for all of them (Bonferroni).
        """
        known = draws[np.isfinite(draws)]
        if not len(known):
            return cls(value, np.nan, np.nan)
        outside = (1 - CONFIDENCE) / chosen_from / 2
        edges = np.quantile(known, [outside, 1 - outside])
        return cls(value, float(edges[0]), float(edges[1]))


@dataclass(frozen=True)
class Units:
    """What m posts are drawn by."""

    name: str
    """"authors" or "photos"."""
    unit: NDArray[np.int64]
    """(m,), which of the units each post belongs to."""
    count: int
    resamples: int = RESAMPLES

    @classmethod
    def choose(cls, examples: Examples, resamples: int = RESAMPLES) -> Units:
        """Take authors or photos, whichever are fewer."""
        photos = len(examples.photos)
        if (authors := examples.columns.get("author")) is not None:
            names, unit = np.unique(authors.astype(str), return_inverse=True)
            if len(names) < photos:
                return cls("authors", unit, len(names), resamples)
        return cls("photos", examples.photo, photos, resamples)

    def draws(self, seed: int = 0) -> Iterator[NDArray[Any]]:
        """How often each unit was drawn, a few resamples at a time: (b, count). The same each time."""
        rng = np.random.default_rng(seed)
        at_once = max(1, min(self.resamples, _AT_ONCE // max(1, len(self.unit))))
        for start in range(0, self.resamples, at_once):
            rows = min(at_once, self.resamples - start)
            yield np.stack(
                [
                    np.bincount(rng.integers(self.count, size=self.count), minlength=self.count)
                    for _ in range(rows)
                ]
            )

    def sums(self, values: Array) -> Array:
        """Sums of each column of values (m, q) over the posts of a unit: (count, q)."""
        sums = np.zeros((self.count, values.shape[1]))
        np.add.at(sums, self.unit, values)
        return sums

    def ratios(self, above: Array, below: Array) -> Array:
        """Σ above / Σ below in each resample, for columns (m, q): (resamples, q); nan where it is 0 / 0."""
        tops, bottoms = self.sums(above), self.sums(below)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.concatenate([(drawn @ tops) / (drawn @ bottoms) for drawn in self.draws()])
