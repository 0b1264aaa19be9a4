"""Posts apart by a column, to see for whom a judge is worse, or whom it likes less."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.dataset.posts import DatasetError
from model.evaluation.intervals import Interval
from model.evaluation.judged import Judged
from model.evaluation.metrics import Array, Ranking

QUANTILES = 4
MOST = 12
"""Categories that are shown; the rarer ones are put together."""
SMALL = 30
"""Posts; a smaller slice is shown, but luck has too large a part in it for a gap."""
FEWEST = 5
"""Authors or photos, whichever are drawn; with fewer, resamples do not tell how far a number may be off."""
MEASURES = ("accuracy", "auc", "mean_score")

Draws = dict[str, Array]


@dataclass(frozen=True)
class Slice:
    """The posts that are alike in one respect."""

    name: str
    posts: int
    photos: int
    accuracy: Interval
    auc: Interval
    mean_score: Interval


@dataclass(frozen=True)
class Gap:
    """Between the two slices that differ most; its interval allows for their having been picked for that."""

    highest: str
    lowest: str
    difference: Interval


@dataclass(frozen=True)
class Column:
    """The slices by one column, and the largest gaps between them."""

    name: str
    slices: list[Slice]
    gaps: dict[str, Gap]
    """For accuracy, auc and mean_score; empty with fewer than two slices that are large enough."""


def by_column(judged: Judged, name: str) -> Column:
    """Measure the slices by one column.

    Raises:
        DatasetError: There is no such column.
    """
    if name not in judged.examples.columns:
        there = ", ".join(sorted(judged.examples.columns)) or "none"
        raise DatasetError(f"{judged.examples.folder}: no column {name!r} to slice by; there are: {there}")
    masks = masks_of(judged.examples.columns[name])
    inside = np.stack(list(masks.values()), axis=1).astype(float)  # (m, s)
    units = judged.units
    accuracy = units.ratios(inside * judged.right[:, None], inside)
    score = units.ratios(inside * judged.score[:, None], inside)
    auc = [area(judged, mask) for mask in masks.values()]
    enough = [len(np.unique(units.unit[mask])) >= FEWEST for mask in masks.values()]
    draws: list[Draws] = [
        {"accuracy": accuracy[:, at], "auc": drawn, "mean_score": score[:, at]}
        if enough[at]
        else dict.fromkeys(MEASURES, np.empty(0))
        for at, (_, drawn) in enumerate(auc)
    ]
    slices = [
        _slice(judged, one, mask, values[0], drawn)
        for (one, mask), values, drawn in zip(masks.items(), auc, draws, strict=True)
    ]
    return Column(name, slices, _gaps(slices, draws))


def area(judged: Judged, mask: NDArray[np.bool_]) -> tuple[float, Array]:
    """AUC of some posts, and of each resample; of more than two labels, the mean of one against all."""
    posts, label, unit = judged.posts[mask], judged.label[mask], judged.units.unit[mask]
    one_against_all = [1] if len(judged.labels) == 2 else range(len(judged.labels))
    rankings = {index: Ranking(posts[:, index]) for index in one_against_all}

    def areas(weights: NDArray[Any]) -> Array:
        each = [
            ranking.auc(weights * (label == index), weights * (label != index))
            for index, ranking in rankings.items()
        ]
        mean: Array = np.mean(each, axis=0)
        return mean

    drawn = [areas(drawn[:, unit]) for drawn in judged.units.draws()]
    return float(areas(np.ones((1, len(label))))[0]), np.concatenate(drawn)


def masks_of(values: NDArray[Any]) -> dict[str, NDArray[np.bool_]]:
    """Name of a slice → which of the m posts are in it: categories as they are, numbers by quantiles."""
    unknown = np.array([value is None or value != value for value in values])  # noqa: PLR0124  (as NaN and NaT)
    known = values[~unknown]
    ordered = known.dtype.kind in "iufM" and len(np.unique(known)) > QUANTILES + 2
    masks = _by_quantile(values, ~unknown) if ordered else _by_category(values, ~unknown)
    if unknown.any():
        masks["unknown"] = unknown
    return masks


def _by_quantile(values: NDArray[Any], known: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, QUANTILES + 1), method="higher"))
    place = np.searchsorted(edges[1:-1], values, side="right")
    return {
        f"{_tidy(values[inside].min())} to {_tidy(values[inside].max())}": inside
        for number in range(len(edges) - 1)
        if (inside := known & (place == number)).any()
    }


def _by_category(values: NDArray[Any], known: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    text = values if values.dtype.kind in "iufbM" else values.astype(str)
    names, posts = np.unique(text[known], return_counts=True)
    common = np.sort(np.argsort(-posts, kind="stable")[: MOST if len(names) > MOST + 1 else None])
    masks = {_tidy(names[at]): known & (text == names[at]) for at in common}
    if rare := len(names) - len(common):
        masks[f"{rare} others"] = known & ~np.isin(text, names[common])
    return masks


def _tidy(value: Any) -> str:
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[D]"))
    if isinstance(value, str | np.bool_):
        return str(value)
    return f"{value:,}" if isinstance(value, np.integer) else f"{value:.3g}"


def _slice(judged: Judged, name: str, mask: NDArray[np.bool_], auc: float, draws: Draws) -> Slice:
    return Slice(
        name=name,
        posts=int(mask.sum()),
        photos=len(np.unique(judged.examples.photo[mask])),
        accuracy=Interval.of(float(judged.right[mask].mean()), draws["accuracy"]),
        auc=Interval.of(auc, draws["auc"]),
        mean_score=Interval.of(float(judged.score[mask].mean()), draws["mean_score"]),
    )


def _gaps(slices: list[Slice], draws: list[Draws]) -> dict[str, Gap]:
    gaps = {}
    for measure in MEASURES:
        values = {
            at: getattr(one, measure).value
            for at, one in enumerate(slices)
            if one.posts >= SMALL and np.isfinite(getattr(one, measure).low)
        }
        if len(values) < 2:
            continue
        high, low = max(values, key=values.__getitem__), min(values, key=values.__getitem__)
        gaps[measure] = Gap(
            slices[high].name,
            slices[low].name,
            Interval.of(
                values[high] - values[low],
                draws[high][measure] - draws[low][measure],
                chosen_from=len(values) * (len(values) - 1) // 2,
            ),
        )
    return gaps
