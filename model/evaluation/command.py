"""`deepselfie model evaluate`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.evaluation.judged import Judged
    from model.evaluation.measurement import Measurement
    from model.judge import Judge


def evaluate(arguments: Sequence[str]) -> int:
    """Measure a judge's file on labelled photos."""
    options = _parser().parse_args(arguments)
    from model.dataset.posts import DatasetError
    from model.judge import JudgeRefused

    try:
        _evaluate(options)
    except (DatasetError, JudgeRefused) as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepselfie model evaluate",
        description="Measure a judge's .onnx file, as a server would run it, on labelled photos it did not "
        "learn from. Photos that cannot be read are told and left out.",
    )
    parser.add_argument("judge", type=Path, metavar="JUDGE.onnx", help="the judge's file")
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of a labelled dataset")
    parser.add_argument("--split", default="test", help="which part of it (default: %(default)s)")
    parser.add_argument(
        "--slice",
        action="append",
        default=[],
        metavar="COLUMN",
        dest="columns",
        help="also measure posts apart by this column, and the gaps between them; may be repeated",
    )
    parser.add_argument("--report", type=Path, metavar="FILE.html", help="write a report, with pictures")
    parser.add_argument("--no-photos", action="store_true", help="show no photo in the report")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.5,
        help="of two labels: how likely the better one must be to be the verdict (default: %(default)s)",
    )
    parser.add_argument(
        "--resamples", type=int, default=1000, help="draws for the intervals (default: %(default)s)"
    )
    return parser


def _evaluate(options: argparse.Namespace) -> None:
    from model.dataset.examples import Examples
    from model.dataset.posts import DatasetError
    from model.evaluation.judged import judged
    from model.evaluation.measurement import measure
    from model.judge import Judge

    judge = Judge(options.judge)
    _check(options, judge)
    part = Examples.load(options.dataset).part(options.split)
    if not part.photos:
        raise DatasetError(f"{options.dataset}: no post is in the part {options.split!r}; see --split")
    _warn_of_another_labelling(judge, part.fingerprint)
    posts = judged(judge, part, threshold=options.threshold, resamples=options.resamples)
    measurement = measure(posts, options.columns)
    if options.report:
        _write(options, judge, posts, measurement)
    if options.json:
        names = {"judge": f"{judge.card.name} {judge.card.version}", "split": options.split}
        print(json.dumps(names | {"dataset": part.fingerprint} | measurement.as_json(), ensure_ascii=False))
    else:
        _tell(judge, posts, measurement)


def _warn_of_another_labelling(judge: Judge, fingerprint: str) -> None:
    learned = judge.card.dataset
    if learned and learned != fingerprint:
        print(
            f"deepselfie: {judge.card.name} learned from a dataset with the fingerprint {learned[:12]}, this "
            f"one's is {fingerprint[:12]}; photos that are in both may be among those it learned from",
            file=sys.stderr,
        )


def _check(options: argparse.Namespace, judge: Judge) -> None:
    from model.dataset.posts import DatasetError

    if not 0 < options.threshold < 1:
        raise DatasetError(f"--threshold is {options.threshold:g}, it must be between 0 and 1")
    if options.threshold != 0.5 and len(judge.card.labels) > 2:
        raise DatasetError(f"--threshold is for two labels, {options.judge} has {len(judge.card.labels)}")
    if not 1 <= options.resamples <= 100_000:
        raise DatasetError(f"--resamples is {options.resamples}, it must be between 1 and 100000")


def _write(options: argparse.Namespace, judge: Judge, posts: Judged, measurement: Measurement) -> None:
    from model.dataset.posts import DatasetError
    from model.evaluation.report import page
    from model.files import replacing

    html = page(posts, measurement, judge.card, photos=not options.no_photos)
    try:
        with replacing(options.report) as draft:
            draft.write_text(html)
    except OSError as error:
        raise DatasetError(
            f"{options.report} cannot be written ({error.strerror}); make room or name another place"
        ) from error


def _tell(judge: Judge, posts: Judged, measurement: Measurement) -> None:
    from model.evaluation.words import summary

    print(f"{judge.card.name} {judge.card.version}")
    for sentence in summary(posts, measurement):
        print(sentence)
    for photo, why in measurement.unreadable.items():
        print(f"{photo}: {why}", file=sys.stderr)
