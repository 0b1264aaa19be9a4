"""`deepselfie score`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.judge import Judge

BATCH_SIZE = 16


def score(arguments: Sequence[str]) -> int:
    """Judge photo files."""
    options = _parser().parse_args(arguments)
    from model.judge import DEFAULT_FILE, Judge, JudgeRefused

    try:
        judge = Judge(options.model or DEFAULT_FILE)
    except JudgeRefused as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    if judge.card.caution and not options.json:
        print(f"{judge.card.name} {judge.card.version}: {judge.card.caution}", file=sys.stderr)
    failures = 0
    for result in _results(judge, options.photos):
        failed = "error" in result
        failures += failed
        text = json.dumps(result) if options.json else _line(result)
        print(text, file=sys.stderr if failed and not options.json else sys.stdout, flush=True)
    return 1 if failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepselfie score",
        description="Judge photo files, without any network. Exit status 1 if a file could not be judged.",
    )
    parser.add_argument(
        "photos", nargs="+", type=Path, metavar="PHOTO", help="a JPEG, PNG, GIF, WebP, AVIF or HEIC file"
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=os.environ.get("WORKER_MODEL") or None,
        metavar="FILE",
        help="another judge's .onnx file; without it, the one that WORKER_MODEL names",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line: file, score (0-1), label and percentile (0-1), or file and error",
    )
    return parser


def _results(judge: Judge, files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    remaining = iter(files)
    while batch := list(islice(remaining, BATCH_SIZE)):
        yield from _judge_batch(judge, batch)


def _judge_batch(judge: Judge, files: Sequence[Path]) -> list[dict[str, Any]]:
    import numpy as np

    from model.pixels import PhotoRejected, squish

    results: list[dict[str, Any]] = []
    squares = []
    for file in files:
        result: dict[str, Any] = {"file": str(file)}
        try:
            squares.append(squish(file.read_bytes(), side=judge.card.input_size))
        except OSError as error:
            result["error"] = f"cannot be read: {error.strerror}"
        except PhotoRejected as error:
            result["error"] = str(error)
        results.append(result)
    if squares:
        opinions = judge(np.stack(squares))
        judged = (result for result in results if "error" not in result)
        for result, points, row in zip(judged, opinions.scores, opinions.probabilities, strict=True):
            result |= {
                "score": round(float(points), 4),
                "label": judge.label(row),
                "percentile": judge.card.percentile(float(points)),
            }
    return results


def _line(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"{result['file']}: {result['error']}"
    return f"{result['score'] * 100:3.0f}/100  {result['file']}"
