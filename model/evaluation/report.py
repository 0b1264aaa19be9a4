"""The report on a judge: one HTML file that opens from a disk, on a phone too, and asks no network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from model.card import Card
from model.evaluation import pictures
from model.evaluation.charts import colour, forest, histogram, reliability_chart, roc_chart
from model.evaluation.intervals import Interval
from model.evaluation.judged import Judged
from model.evaluation.measurement import Measurement
from model.evaluation.metrics import roc
from model.evaluation.slices import Column
from model.evaluation.words import about, calibration_words, gap_words, summary

STYLE = Path(__file__).with_name("report.css")
# Names of authors and tags come from strangers: even one that got past the escaping could load nothing.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LISTED = 20  # unreadable photos; the JSON has all


def page(judged: Judged, measurement: Measurement, card: Card, *, photos: bool = True) -> str:
    """Write the report.

    Args:
        judged: The posts.
        measurement: What was measured on them.
        card: The judge's.
        photos: Whether to show any; who gets the report gets them, too.

    Returns:
        A whole HTML document.
    """
    title = f"{card.name} {card.version}"
    parts = [
        f"<header><h1>{escape(title)}</h1>{_paragraphs([card.description], 'quiet')}</header>",
        _tiles(measurement),
        _section("In words", _paragraphs(summary(judged, measurement))),
        *(_shown(judged) if photos else []),
        _pair(_matrix(judged, measurement), _by_label(measurement)),
        _pair(_roc(judged, measurement), _reliability(judged, measurement)),
        _histogram(judged, measurement),
        *(_column(column, measurement) for column in measurement.columns),
        _about(judged, measurement, card),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>How good is {escape(title)}?</title><style>{STYLE.read_text()}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _tiles(measurement: Measurement) -> str:
    accuracy, auc = measurement.accuracy, measurement.auc
    tiles = [
        (f"{accuracy.value:.1%}", f"of verdicts are right, {accuracy.low:.1%} to {accuracy.high:.1%}"),
        (f"{measurement.guessing:.1%}", "would be right by always saying the same"),
        (f"{auc.value:.3f}", f"AUC, {auc.low:.3f} to {auc.high:.3f}; 0.5 is guessing"),
        (f"{measurement.ece:.1%}", "is its certainty off, on average"),
    ]
    inside = "".join(
        f'<div class="tile"><b>{number}</b><span>{words}</span></div>' for number, words in tiles
    )
    return f'<div class="tiles">{inside}</div>'


def _shown(judged: Judged) -> list[str]:
    caption = "Score and label. Photos are squeezed into squares, as the judge sees them."
    return [
        _pair(
            _section("What it likes best", _photos(pictures.best(judged)), caption),
            _section("What it likes least", _photos(pictures.worst(judged)), "The worst first."),
        ),
        _section(
            "Its worst mistakes",
            _photos(pictures.mistakes(judged)) or "<p>None: it is right about every photo.</p>",
            "Where it was most certain, and wrong.",
        ),
    ]


def _photos(found: Sequence[pictures.Picture]) -> str:
    figures = "".join(
        f'<figure><img src="{one.source}" alt=""><figcaption>{escape(one.caption)}</figcaption></figure>'
        for one in found
    )
    return f'<div class="photos">{figures}</div>' if figures else ""


def _matrix(judged: Judged, measurement: Measurement) -> str:
    names = [label.name for label in judged.labels]
    head = "".join(f"<th>says {escape(name)}</th>" for name in names)
    rows = []
    for at, (name, row) in enumerate(zip(names, measurement.confusion, strict=True)):
        cells = "".join(_cell(posts, sum(row), right=at == verdict) for verdict, posts in enumerate(row))
        rows.append(f"<tr><td>is {escape(name)}</td>{cells}</tr>")
    table = f'<div class="scroll"><table class="matrix"><tr><th></th>{head}</tr>{"".join(rows)}</table></div>'
    return _section("Right and wrong", table, "Posts, and their share of the row.")


def _cell(posts: int, of: int, *, right: bool) -> str:
    share = posts / of if of else 0
    paint = "var(--best)" if right else "var(--worst)"
    shade = f"background: color-mix(in oklab, {paint} {8 + 42 * share:.0f}%, var(--card))"
    return f'<td style="{shade}"><b>{posts:,}</b><br><span>{share:.0%}</span></td>'


def _by_label(measurement: Measurement) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{one.posts:,}</td><td>{_share(one.precision)}</td>"
        f"<td>{_share(one.recall)}</td><td>{_share(one.f1)}</td></tr>"
        for one in measurement.labels
    )
    head = "<tr><th></th><th>posts</th><th>precision</th><th>recall</th><th>F1</th></tr>"
    return _section(
        "By label",
        f'<div class="scroll"><table>{head}{rows}</table></div>',
        "Precision: of those it says are so, how many are. Recall: of those that are so, how many it finds. "
        "F1: their harmonic mean.",
    )


def _roc(judged: Judged, measurement: Measurement) -> str:
    labels = len(judged.labels)
    chosen = [1] if labels == 2 else range(labels)
    curves = []
    for at in chosen:
        mine = (judged.label == at).astype(float)
        if mine.any() and not mine.all():
            curves.append(
                (judged.labels[at].name, colour(at, labels), *roc(judged.posts[:, at], mine, 1 - mine))
            )
    key = _key([(name, paint) for name, paint, *_ in curves]) if labels > 2 else ""
    return _section(
        "Telling apart",
        roc_chart(curves) + key,
        f"ROC curve. The area under it, {measurement.auc.value:.3f}, is the chance that a better post scores "
        "higher than a worse one.",
    )


def _reliability(judged: Judged, measurement: Measurement) -> str:
    return _section(
        "Honesty", reliability_chart(measurement.calibration), calibration_words(judged, measurement)
    )


def _histogram(judged: Judged, measurement: Measurement) -> str:
    labels = len(judged.labels)
    scores = [
        (label.name, colour(at, labels), judged.score[judged.label == at])
        for at, label in enumerate(judged.labels)
    ]
    return _section(
        "Scores",
        histogram(scores, measurement.threshold) + _key([(name, paint) for name, paint, _ in scores]),
        f"The posts' mean score is {measurement.mean_score:.2f}, their standard deviation "
        f"{measurement.score_spread:.2f}.",
    )


def _column(column: Column, measurement: Measurement) -> str:
    def chart(title: str, measure: str, overall: Interval, *, percent: bool) -> str:
        rows = [(one.name, getattr(one, measure)) for one in column.slices]
        gap = column.gaps.get(measure)
        words = _paragraphs([gap_words(gap)], "quiet") if gap else ""
        return f"<div><h3>{title}</h3>{forest(rows, overall, percent=percent)}{words}</div>"

    mean = Interval(measurement.mean_score, measurement.mean_score, measurement.mean_score)
    charts = [
        chart("Accuracy", "accuracy", measurement.accuracy, percent=True),
        chart("AUC", "auc", measurement.auc, percent=False),
        chart("Mean score", "mean_score", mean, percent=False),
    ]
    posts = ", ".join(f"{one.name}: {one.posts:,}" for one in column.slices)
    return _section(f"By {column.name}", f'<div class="measures">{"".join(charts)}</div>', f"Posts: {posts}.")


def _about(judged: Judged, measurement: Measurement, card: Card) -> str:
    entries = _entries(about(judged, measurement, card))
    unreadable = list(measurement.unreadable.items())
    rest = len(unreadable) - LISTED
    more = f'<p class="quiet">and {rest:,} more</p>' if rest > 0 else ""
    listed = _entries(unreadable[:LISTED]) + more
    left_out = f"<h3>Left out, since they cannot be read</h3>{listed}" if unreadable else ""
    return _section("What was measured, and how", entries + left_out)


def _entries(entries: Iterable[tuple[str, str]]) -> str:
    inside = "".join(f"<dt>{escape(name)}</dt><dd>{escape(words)}</dd>" for name, words in entries)
    return f"<dl>{inside}</dl>"


def _section(title: str, inside: str, words: str = "") -> str:
    return f"<section><h2>{escape(title)}</h2>{_paragraphs([words], 'quiet')}{inside}</section>"


def _pair(*sections: str) -> str:
    return f'<div class="pair">{"".join(sections)}</div>'


def _key(entries: Iterable[tuple[str, str]]) -> str:
    inside = "".join(
        f'<span><i style="background: {paint}"></i>{escape(name)}</span>' for name, paint in entries
    )
    return f'<p class="key">{inside}</p>'


def _paragraphs(words: Iterable[str], kind: str = "") -> str:
    attribute = f' class="{kind}"' if kind else ""
    return "".join(f"<p{attribute}>{escape(one)}</p>" for one in words if one)


def _share(value: float) -> str:
    return f"{value:.1%}" if value == value else "–"  # noqa: PLR0124, RUF001  (nan: nothing to divide by)
