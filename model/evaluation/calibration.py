"""Is a judge right in 70 of 100 when it says "70 %"?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.evaluation.intervals import Interval
from model.evaluation.judged import Judged
from model.evaluation.metrics import Array

BINS = 10


@dataclass(frozen=True)
class Bin:
    """Posts about which the judge was about equally certain."""

    low: float
    high: float
    posts: int
    said: float
    """Mean of the probabilities that the judge gave."""
    was: Interval
    """Share that it came true for."""


def certainty(judged: Judged) -> tuple[Array, NDArray[np.bool_]]:
    """What the judge said and whether it came true, (m,) each.

    Of two labels that is the probability of the better one; of more, that of the verdict.
    """
    if len(judged.labels) == 2:
        return judged.posts[:, 1], judged.label == 1
    return judged.posts.max(1), judged.posts.argmax(1) == judged.label


def reliability(judged: Judged) -> list[Bin]:
    """Posts in ten bins of equal width; empty ones are left out."""
    said, true = certainty(judged)
    place = place_of(said)
    inside = (place[:, None] == np.arange(BINS)).astype(float)  # (m, BINS)
    draws = judged.units.ratios(inside * true[:, None], inside)
    return [
        Bin(
            low=number / BINS,
            high=(number + 1) / BINS,
            posts=int((place == number).sum()),
            said=float(said[place == number].mean()),
            was=Interval.of(float(true[place == number].mean()), draws[:, number]),
        )
        for number in range(BINS)
        if (place == number).any()
    ]


def expected_error(said: Array, true: NDArray[np.bool_]) -> float:
    """ECE: how far, on average over posts, their bin's mean certainty is from the share that came true."""
    place = place_of(said)
    gaps = np.bincount(place, said - true.astype(float), minlength=BINS)
    return float(np.abs(gaps).sum() / len(said))


def place_of(said: Array) -> NDArray[np.int64]:
    """Which bin each probability is in; 1 is in the last."""
    return (said * BINS).astype(np.int64).clip(0, BINS - 1)
