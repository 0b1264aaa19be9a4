"""Posts of known label, and what a judge's file says about their photos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.card import Label
from model.dataset.examples import Examples
from model.dataset.posts import DatasetError
from model.evaluation.intervals import RESAMPLES, Units
from model.evaluation.metrics import Array
from model.evaluation.squares import squares
from model.judge import Floats, Judge


@dataclass(frozen=True)
class Judged:
    """m posts, each with a label and a verdict on its photo."""

    examples: Examples
    """Only posts whose photo could be read."""
    probabilities: Floats
    """(p, K), of the photos."""
    threshold: float
    """Of two labels: the probability from which on the verdict is the better one."""
    units: Units
    unreadable: dict[str, str]
    """Path of a photo that was left out → what is wrong with it."""

    @property
    def labels(self) -> tuple[Label, ...]:
        """Worst to best."""
        return self.examples.labels

    @property
    def label(self) -> NDArray[np.int64]:
        """(m,)."""
        return self.examples.label

    @property
    def posts(self) -> Floats:
        """Probabilities of the posts, (m, K)."""
        return self.probabilities[self.examples.photo]

    @property
    def photo_score(self) -> Array:
        """Σ p·value of each photo, (p,)."""
        values = np.array([label.value for label in self.labels], np.float32)
        scores: Array = (self.probabilities @ values).clip(0, 1)
        return scores

    @property
    def score(self) -> Array:
        """Σ p·value of each post's photo, (m,)."""
        return self.photo_score[self.examples.photo]

    @property
    def verdict(self) -> NDArray[np.int64]:
        """The label that the judge gives each post, (m,)."""
        if len(self.labels) == 2:
            return (self.posts[:, 1] >= self.threshold).astype(np.int64)
        likeliest: NDArray[np.int64] = self.posts.argmax(1)
        return likeliest

    @property
    def right(self) -> NDArray[np.bool_]:
        """(m,)."""
        right: NDArray[np.bool_] = self.verdict == self.label
        return right


def judged(judge: Judge, examples: Examples, *, threshold: float = 0.5, resamples: int = RESAMPLES) -> Judged:
    """Judge the photos of a dataset's part.

    Raises:
        DatasetError: Its labels are others than the judge's, or no photo can be read.
    """
    _check_labels(judge, examples)
    probabilities = np.zeros((len(examples.photos), len(examples.labels)), np.float32)
    readable = np.zeros(len(examples.photos), bool)
    unreadable: dict[str, str] = {}
    for batch in squares(examples, judge.card.input_size, "judging photos"):
        unreadable |= batch.unreadable
        if len(batch.photo):
            probabilities[batch.photo] = judge(batch.squares).probabilities
            readable[batch.photo] = True
    if not readable.any():
        first = next(iter(unreadable.items()), ("the part", "it holds no photo"))
        raise DatasetError(f"{examples.folder}: none of its photos can be read, {first[0]}: {first[1]}")
    kept = _only(examples, readable)
    return Judged(kept, probabilities[readable], threshold, Units.choose(kept, resamples), unreadable)


def _check_labels(judge: Judge, examples: Examples) -> None:
    ours, theirs = ([label.name for label in labels] for labels in (judge.card.labels, examples.labels))
    if ours != theirs:
        raise DatasetError(
            f"{examples.folder}: its labels are {', '.join(theirs)}, the judge's {', '.join(ours)}; "
            "take a judge that was trained on such labels"
        )


def _only(examples: Examples, readable: NDArray[np.bool_]) -> Examples:
    """Leave out photos, and the posts that show them."""
    posts = readable[examples.photo]
    index = readable.cumsum() - 1

    def kept(values: NDArray[Any]) -> NDArray[Any]:
        return values[posts]

    return replace(
        examples,
        photos=tuple(photo for photo, good in zip(examples.photos, readable, strict=True) if good),
        photo=index[kept(examples.photo)],
        label=kept(examples.label),
        split=kept(examples.split),
        columns={name: kept(values) for name, values in examples.columns.items()},
    )
