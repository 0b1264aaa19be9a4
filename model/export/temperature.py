"""The one number that makes a judge's confidence honest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from model.export.refusal import ExportRefused
from model.judge import Floats

COOLEST, HOTTEST = 0.05, 20.0
"""Cooler is more certain. A network that is never wrong on few photos would want no limit."""


def temperature(probabilities: Floats, counts: NDArray[np.float32]) -> float:
    """Find the divisor of the logits that makes the labels likeliest, so that "70 %" is right in 70 of 100.

    A label's logarithm of probability is its logit less a number that all labels share, and the softmax does
    not see that number: so probabilities do as well as logits.

    Args:
        probabilities: Of p photos, at temperature 1, shape (p, K).
        counts: How many posts of each label show a photo, shape (p, K).

    Raises:
        ExportRefused: There is no such divisor.
    """
    logits = np.log(probabilities.astype(np.float64).clip(1e-30))
    if not np.isfinite(logits).all():
        raise ExportRefused("the network's probabilities are no numbers (NaN); train it again")
    if (counts.sum(0) > 0).sum() < 2:
        raise ExportRefused(
            "the validation photos all have one label, and it takes two to fit a temperature; "
            "label more posts, or split them otherwise"
        )
    if np.ptp(logits, axis=0).max() < 1e-5:
        raise ExportRefused("the network gives all validation photos the same score; train it for longer")

    def surprise(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float((counts * (np.logaddexp.reduce(scaled, axis=1, keepdims=True) - scaled)).sum())

    low, high = np.log((COOLEST, HOTTEST))
    # The surprise is convex in 1 / temperature, so it has one valley.
    while high - low > 1e-4:
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, right) if surprise(left) < surprise(right) else (left, high)
    best = float(np.exp((low + high) / 2))
    if best > 0.99 * HOTTEST:
        raise ExportRefused(
            "the network's scores say nothing about the validation photos: no temperature up to "
            f"{HOTTEST:g} makes them honest; train it for longer, or look at the labels"
        )
    return best
