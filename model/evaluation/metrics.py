"""Right or wrong, as numbers. Everything takes weights, so that an interval needs no second definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]


def auc(scores: Array, positives: Array, negatives: Array) -> float:
    """Chance that a positive scores higher than a negative, ties half: the area under the ROC curve.

    Args:
        scores: Of p photos, shape (p,).
        positives: How many positive posts show each photo, shape (p,).
        negatives: How many negative ones, shape (p,).

    Returns:
        0-1; nan without a positive, or without a negative.
    """
    return float(Ranking(scores).auc(positives[None], negatives[None])[0])


class Ranking:
    """Scores in their order, sorted once for any number of weightings.

    Args:
        scores: Shape (p,).
    """

    def __init__(self, scores: Array) -> None:
        self.order = np.argsort(scores, kind="stable")
        ranked = scores[self.order]
        # Where each run of equal scores starts.
        self.starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(scores) else np.arange(0)
        self.levels = ranked[self.starts]

    def by_level(self, weights: Array) -> Array:
        """Sum of weights (b, p) at each of the distinct scores, in ascending order: (b, levels)."""
        return np.add.reduceat(weights[:, self.order].astype(np.float64), self.starts, axis=1)

    def auc(self, positives: Array, negatives: Array) -> Array:
        """Area under the ROC curve for each of b weightings (b, p): (b,)."""
        if not len(self.order):
            return np.full(len(positives), np.nan)
        won, lost = self.by_level(positives), self.by_level(negatives)
        below = lost.cumsum(1) - lost / 2
        with np.errstate(invalid="ignore"):
            area: Array = (won * below).sum(1) / (won.sum(1) * lost.sum(1))
        return area


def roc(scores: Array, positives: Array, negatives: Array) -> tuple[Array, Array]:
    """The ROC curve, from (0, 0) to (1, 1): shares of negatives, of positives that score at least so high."""
    ranking = Ranking(scores)
    won, lost = (ranking.by_level(weights[None])[0][::-1].cumsum() for weights in (positives, negatives))
    return np.r_[0, lost / lost[-1]], np.r_[0, won / won[-1]]


def confusion(label: NDArray[np.int64], verdict: NDArray[np.int64], labels: int) -> NDArray[np.int64]:
    """How many posts of each label (rows) got each verdict (columns), (K, K)."""
    return np.bincount(label * labels + verdict, minlength=labels**2).reshape(labels, labels)


def precision_recall_f1(confusion: NDArray[np.int64]) -> Array:
    """Of each label: how many of its verdicts are right, how many of its posts get it, their harmonic mean.

    Args:
        confusion: Rows are labels, columns verdicts, (K, K).

    Returns:
        Shape (K, 3); nan where nothing was divided by nothing.
    """
    right = np.diag(confusion)
    verdicts, posts = confusion.sum(0), confusion.sum(1)
    with np.errstate(invalid="ignore"):
        return np.stack([right / verdicts, right / posts, 2 * right / (verdicts + posts)], axis=1)


def log_loss(probabilities: Array, label: NDArray[np.int64]) -> float:
    """Mean surprise at the labels, in nats: 0.69 for two labels and a judge that always says 50 %."""
    certainty = probabilities[np.arange(len(label)), label].astype(np.float64)
    return float(-np.log(certainty.clip(1e-15)).mean())
