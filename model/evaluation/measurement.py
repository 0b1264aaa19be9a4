"""How good a judge's file is, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.evaluation.calibration import Bin, certainty, expected_error, reliability
from model.evaluation.intervals import Interval
from model.evaluation.judged import Judged
from model.evaluation.metrics import confusion, log_loss, precision_recall_f1
from model.evaluation.slices import Column, area, by_column

QUANTILES = 101
DIGITS = 4


@dataclass(frozen=True)
class LabelMeasure:
    """One label against all others."""

    name: str
    posts: int
    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    precision: float
    """Of the posts that got this verdict, the share that it is right for."""
    recall: float
    """Of the posts with this label, the share that got the verdict."""
    f1: float
    """Harmonic mean of the two."""


@dataclass(frozen=True)
class Measurement:
    """What was measured on one part of a dataset."""

    posts: int
    photos: int
    drawn_by: str
    """What the intervals are about: "authors" or "photos"."""
    drawn_from: int
    threshold: float | None
    accuracy: Interval
    guessing: float
    """Accuracy of always saying the most frequent label."""
    auc: Interval
    ece: float
    log_loss: float
    mean_score: float
    score_spread: float
    """Standard deviation of the posts' scores."""
    confusion: list[list[int]]
    """Rows are labels, columns verdicts."""
    labels: list[LabelMeasure]
    calibration: list[Bin]
    reference: list[float]
    """Scores of the photos, as 101 ascending quantiles."""
    columns: list[Column]
    unreadable: dict[str, str]

    def metrics(self) -> dict[str, float]:
        """The numbers that go into a card."""
        chosen = {
            "accuracy": self.accuracy.value,
            "accuracy_low": self.accuracy.low,
            "accuracy_high": self.accuracy.high,
            "guessing": self.guessing,
            "auc": self.auc.value,
            "ece": self.ece,
            "log_loss": self.log_loss,
            "posts": self.posts,
            "photos": self.photos,
        }
        return {name: round(float(value), DIGITS) for name, value in chosen.items() if isfinite(value)}

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON knows it: null for what cannot be measured."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def measure(judged: Judged, columns: Sequence[str] = ()) -> Measurement:
    """Measure a judge on posts it has judged.

    Raises:
        DatasetError: There is no such column to slice by.
    """
    labels, right = len(judged.labels), judged.right
    everything = np.ones(len(right), bool)
    said, true = certainty(judged)
    table = confusion(judged.label, judged.verdict, labels)
    draws = judged.units.ratios(right[:, None].astype(float), everything[:, None].astype(float))
    return Measurement(
        posts=len(right),
        photos=len(judged.examples.photos),
        drawn_by=judged.units.name,
        drawn_from=judged.units.count,
        threshold=judged.threshold if labels == 2 else None,
        accuracy=Interval.of(float(right.mean()), draws[:, 0]),
        guessing=float(np.bincount(judged.label).max() / len(right)),
        auc=Interval.of(*area(judged, everything)),
        ece=expected_error(said, true),
        log_loss=log_loss(judged.posts, judged.label),
        mean_score=float(judged.score.mean()),
        score_spread=float(judged.score.std()),
        confusion=table.tolist(),
        labels=_labels(judged, table),
        calibration=reliability(judged),
        reference=np.quantile(judged.photo_score, np.linspace(0, 1, QUANTILES))
        .astype(float)
        .round(DIGITS)
        .tolist(),
        columns=[by_column(judged, name) for name in columns],
        unreadable=judged.unreadable,
    )


def _labels(judged: Judged, table: NDArray[np.int64]) -> list[LabelMeasure]:
    found = []
    for index, (label, (precision, recall, f1)) in enumerate(
        zip(judged.labels, precision_recall_f1(table), strict=True)
    ):
        right, verdicts, posts = (
            int(n) for n in (table[index, index], table[:, index].sum(), table[index].sum())
        )
        found.append(
            LabelMeasure(
                name=label.name,
                posts=posts,
                true_positives=right,
                false_positives=verdicts - right,
                true_negatives=int(table.sum()) - verdicts - posts + right,
                false_negatives=posts - right,
                precision=float(precision),
                recall=float(recall),
                f1=float(f1),
            )
        )
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if isfinite(value) else None
    return value
