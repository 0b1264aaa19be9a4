"""Charts as SVG, drawn here so that a report is one file, sharp at any size and in the page's own colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite, sqrt

import numpy as np

from model.evaluation.calibration import Bin
from model.evaluation.intervals import Interval
from model.evaluation.metrics import Array

WIDTH, HEIGHT = 340, 300
LEFT, RIGHT, TOP, BOTTOM = 44, 14, 12, 42
MOST_POINTS = 200  # of a curve; more cannot be seen
HISTOGRAM_BINS = 20
ROW = 38  # pixels a slice


def colour(label: int, labels: int) -> str:
    """One colour for each label, from the worst's to the best's."""
    return f"color-mix(in oklab, var(--best) {label / (labels - 1):.0%}, var(--worst))"


def roc_chart(curves: Sequence[tuple[str, str, Array, Array]]) -> str:
    """ROC curves: a label, a colour, shares of other posts and of its own each that get it as a verdict."""
    parts = [*_axes("of the others, called so", "of its own, called so"), _diagonal()]
    for name, paint, lost, won in curves:
        chosen = np.unique(np.linspace(0, len(lost) - 1, min(len(lost), MOST_POINTS)).astype(int))
        points = " ".join(f"{_x(lost[at]):.1f},{_y(won[at]):.1f}" for at in chosen)
        parts.append(f'<polyline class="curve" points="{points}" stroke="{paint}">{_tip(name)}</polyline>')
    return _svg("ROC curve", parts)


def reliability_chart(bins: Sequence[Bin]) -> str:
    """What the judge said against what was; on the dashed line it is honest."""
    most = max(one.posts for one in bins)
    parts = [*_axes("what the judge said", "what was"), _diagonal()]
    parts += [
        _line(_x(one.said), _y(one.was.low), _x(one.said), _y(one.was.high), "whisker")
        for one in bins
        if isfinite(one.was.low)
    ]
    for one in bins:
        words = f"said {one.said:.0%}, was {_range(one.was)}; {one.posts:,} posts"
        parts.append(_dot(_x(one.said), _y(one.was.value), 3 + 5 * sqrt(one.posts / most), words))
    return _svg("reliability diagram", parts)


def histogram(scores: Sequence[tuple[str, str, Array]], threshold: float | None) -> str:
    """How many posts got which score, stacked by label: a name, a colour, the scores of its posts each."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    counts = [np.histogram(values, edges)[0] for _, _, values in scores]
    most = max(1, int(np.sum(counts, axis=0).max()))
    parts = [*_axes("score", "posts", y_ticks=_whole_ticks(most))]
    floor = np.zeros(HISTOGRAM_BINS)
    for (name, paint, _), count in zip(scores, counts, strict=True):
        for low, base, posts in zip(edges, floor, count, strict=False):
            if posts:
                top, height = _y((base + posts) / most), (_y(0) - _y(1)) * posts / most
                words = f"{name}: {posts:,} posts from {low:.2f} to {low + 1 / HISTOGRAM_BINS:.2f}"
                parts.append(
                    f'<rect x="{_x(low) + 0.75:.1f}" y="{top:.1f}" width="{_x(edges[1]) - _x(0) - 1.5:.1f}" '
                    f'height="{height:.1f}" fill="{paint}">{_tip(words)}</rect>'
                )
        floor = floor + count
    if threshold is not None:
        parts.append(_line(_x(threshold), _y(0), _x(threshold), _y(1), "dashed"))
    return _svg("distribution of scores", parts)


def forest(rows: Sequence[tuple[str, Interval]], overall: Interval, *, percent: bool) -> str:
    """Slices below each other, with their intervals; the dashed line is all posts together."""
    ends = [end for _, one in rows for end in (one.value, one.low, one.high) if isfinite(end)]
    low, high = min([*ends, overall.value]), max([*ends, overall.value])
    margin = max(0.02, 0.06 * (high - low))
    low, high = low - margin, high + margin
    height = ROW * len(rows) + 4

    def across(value: float) -> float:
        return 6 + (WIDTH - 12) * (value - low) / (high - low)

    parts = [_line(across(overall.value), 2, across(overall.value), height - 2, "dashed")]
    for at, (name, one) in enumerate(rows):
        words, top = ROW * at + 14, ROW * at + 25
        parts.append(_text(0, words, name, "name", "start"))
        if not isfinite(one.value):
            parts.append(_text(WIDTH, words, "unknown", "tick", "end"))
            continue
        if isfinite(one.low):
            parts.append(_line(across(one.low), top, across(one.high), top, "whisker"))
        parts += [
            _dot(across(one.value), top, 4.5, f"{name}: {_range(one)}"),
            _text(WIDTH, words, f"{one.value:.1%}" if percent else f"{one.value:.3f}", "value", "end"),
        ]
    return _svg("slices", parts, height)


def _range(one: Interval) -> str:
    return f"{one.value:.1%}" + (f" ({one.low:.1%} to {one.high:.1%})" if isfinite(one.low) else "")


def _x(share: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * float(share)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * float(share)


def _axes(x_title: str, y_title: str, y_ticks: Iterable[tuple[float, str]] | None = None) -> list[str]:
    quarters = [(share, f"{share:.0%}") for share in (0, 0.25, 0.5, 0.75, 1)]
    x_ticks = [(share, f"{share:g}") for share, _ in quarters] if x_title == "score" else quarters
    parts = []
    for share, words in y_ticks or quarters:
        parts += [
            _line(LEFT, _y(share), WIDTH - RIGHT, _y(share), "grid"),
            _text(LEFT - 6, _y(share) + 4, words, "tick", "end"),
        ]
    parts += [_text(_x(share), HEIGHT - BOTTOM + 16, words, "tick") for share, words in x_ticks]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_title, "axis"))
    parts.append(
        f'<text class="axis" text-anchor="middle" transform="translate(10 {_y(0.5):.1f}) rotate(-90)">'
        f"{escape(y_title)}</text>"
    )
    return parts


def _whole_ticks(most: int) -> list[tuple[float, str]]:
    step = next(
        step for power in range(12) for step in (10**power, 2 * 10**power, 5 * 10**power) if most <= 5 * step
    )
    return [(count / most, f"{count:,}") for count in range(0, most + 1, step)]


def _diagonal() -> str:
    return _line(_x(0), _y(0), _x(1), _y(1), "dashed")


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _dot(x: float, y: float, radius: float, tip: str) -> str:
    return f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}">{_tip(tip)}</circle>'


def _text(x: float, y: float, words: str, kind: str, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _tip(words: str) -> str:
    return f"<title>{escape(words)}</title>"


def _svg(title: str, parts: Iterable[str], height: float = HEIGHT) -> str:
    drawing = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}">{drawing}</svg>'
