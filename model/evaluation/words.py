"""What was measured, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from model.card import Card
from model.evaluation.intervals import Interval
from model.evaluation.judged import Judged
from model.evaluation.measurement import Measurement
from model.evaluation.slices import Gap

INTERVALS = (
    "hold in 95 of 100 draws: {times:,} times, as many {units} were drawn anew from the {count:,} there are. "
    "Not posts, since those of one photo share its score, and those of one author an audience. The interval "
    "of a gap allows for having picked the two slices that differ most."
)
TITLES = {"accuracy": "accuracy", "auc": "AUC", "mean_score": "mean score"}


def summary(judged: Judged, measurement: Measurement) -> Iterator[str]:
    """The sentences that a report begins with, and that the command prints."""
    accuracy = measurement.accuracy
    yield (
        f"It is right about {accuracy.value:.1%} of {measurement.posts:,} posts{_between(accuracy)}, which "
        f"show {measurement.photos:,} photos. Always saying the most frequent label would be right about "
        f"{measurement.guessing:.1%}: {_better_than_guessing(measurement)}"
    )
    yield (
        f"A better post scores higher than a worse one in {measurement.auc.value:.1%} of pairs"
        f"{_between(measurement.auc)}; 50% is guessing."
    )
    yield calibration_words(judged, measurement)
    for column in measurement.columns:
        for measure, gap in column.gaps.items():
            if gap.difference.low > 0:
                yield f"By {column.name}, {TITLES[measure]}: {gap_words(gap)}"
    if measurement.unreadable:
        count = len(measurement.unreadable)
        yield f"{count:,} {'photo' if count == 1 else 'photos'} left out: impossible to read."


def calibration_words(judged: Judged, measurement: Measurement) -> str:
    """How far its certainty is from what came true."""
    what = f'"{judged.labels[1].name}"' if len(judged.labels) == 2 else "its verdict"
    return (
        f"When it says how likely {what} is, it is off by {measurement.ece:.1%} on average (ECE, ten bins); "
        f"its surprise is {measurement.log_loss:.3f} nats a post."
    )


def gap_words(gap: Gap) -> str:
    """Between which slices it is, and whether luck can explain it."""
    one = gap.difference
    luck = "" if one.low > 0 else "; luck may explain it"
    return f'"{gap.highest}" is {one.value:.3f} above "{gap.lowest}" ({one.low:.3f} to {one.high:.3f}){luck}.'


def about(judged: Judged, measurement: Measurement, card: Card) -> Iterator[tuple[str, str]]:
    """Names and values of what a reader must know to measure the same again."""
    examples = judged.examples
    splits = sorted(set(examples.split.tolist()))
    part = f"{' and '.join(splits)} part"
    yield "Dataset", f"{examples.folder.resolve().name}, {part}, fingerprint {examples.fingerprint[:12]}"
    if card.dataset:
        same = card.dataset == examples.fingerprint
        yield (
            "Trained on",
            "this dataset's train part" if same else f"another dataset, fingerprint {card.dataset[:12]}",
        )
    yield "Training", card.training
    yield "Judge's file", _file(card)
    if measurement.threshold is not None:
        yield "Threshold", f"{judged.labels[1].name} from {measurement.threshold:g} on"
    yield (
        "Intervals",
        INTERVALS.format(
            times=judged.units.resamples, units=measurement.drawn_by, count=measurement.drawn_from
        ),
    )
    yield "Licence", card.licence


def _file(card: Card) -> str:
    words = (
        f"{card.input_size} x {card.input_size} pixels",
        card.precision or "",
        f"opset {card.opset}" if card.opset else "",
        f"temperature {card.temperature:g}" if card.temperature else "",
    )
    return ", ".join(word for word in words if word)


def _between(one: Interval) -> str:
    return f" ({one.low:.1%} to {one.high:.1%})" if isfinite(one.low) else ""


def _better_than_guessing(measurement: Measurement) -> str:
    if measurement.accuracy.low > measurement.guessing:
        return "it is better than guessing."
    if measurement.accuracy.high < measurement.guessing:
        return "it is worse than guessing."
    if measurement.accuracy.value <= measurement.guessing:
        return "it is no better than guessing."
    return "that it is better than guessing may be luck."
