"""`deepselfie model export`, `ensemble` and `card`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.card import Card
    from model.training.checkpoint import Checkpoint


def export(arguments: Sequence[str]) -> int:
    """Turn a checkpoint into a judge's file."""
    options = _export_parser().parse_args(arguments)
    return _told(lambda: _export(options))


def ensemble(arguments: Sequence[str]) -> int:
    """Join several judges into one file."""
    options = _ensemble_parser().parse_args(arguments)
    return _told(lambda: _ensemble(options))


def card(arguments: Sequence[str]) -> int:
    """Print what a judge's file says about itself."""
    parser = argparse.ArgumentParser(
        prog="deepselfie model card",
        description="Print what a judge's file says about itself: any judge's, old ones and ensembles too.",
    )
    parser.add_argument("file", type=Path, metavar="JUDGE.onnx", help="the judge's file")
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    options = parser.parse_args(arguments)

    def run() -> None:
        from model.export.inspection import as_json, as_text, inspect

        found = inspect(options.file)
        print(as_json(found) if options.json else as_text(found))

    return _told(run)


def _export_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepselfie model export",
        description="Turn a checkpoint into a judge's .onnx file: fit its temperature, compare the file with "
        "the network, measure it on the test part, and let it say so in its card. When a check fails, "
        "nothing is written.",
    )
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="best.pt of a run")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the judge's file; an older one is replaced"
    )
    parser.add_argument(
        "--dataset",
        type=Path,
        metavar="DIR",
        help="the dataset it was trained on, where it is not where it was",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--int8",
        action="store_true",
        help="8-bit weights: a quarter of the size, 99 of 100 verdicts the same",
    )
    size.add_argument("--half", action="store_true", help="16-bit weights: half the size, by the same rule")
    parser.add_argument("--name", help="the judge's name; by default the run's folder's")
    _add_card_options(parser)
    parser.add_argument("--licence", default="not stated", help="under which the file may be used")
    return parser


def _ensemble_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepselfie model ensemble",
        description="Join judges of the same labels and input size into one file: the mean of their "
        "probabilities, their embeddings side by side.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="JUDGE.onnx", help="the judges' files")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the joined file")
    parser.add_argument(
        "--dataset", type=Path, metavar="DIR", help="measure it on this dataset's test part, for its card"
    )
    parser.add_argument("--name", help="its name; by default the file's")
    _add_card_options(parser)
    return parser


def _add_card_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", default="1", help="the judge's version (default: %(default)s)")
    parser.add_argument("--description", default="", help="what it judges, in a sentence or two")
    parser.add_argument("--caution", default="", help="one sentence that every reply shall carry")
    parser.add_argument(
        "--reference-name",
        default="",
        help='what the test photos are, as it reads after "better than 83%% of"',
    )
    parser.add_argument(
        "--max-batch",
        type=_count,
        metavar="N",
        help="photos that one call may have at the most, for a graph that takes much memory (any number)",
    )
    parser.add_argument("--json", action="store_true", help="print the card as one JSON object")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of photos; give one from 1 on")
    return int(text)


def _export(options: argparse.Namespace) -> None:
    from model.dataset.examples import Examples
    from model.export.recipe import make
    from model.training.checkpoint import load

    checkpoint = load(options.checkpoint)
    examples = Examples.load(options.dataset or Path(checkpoint.dataset))
    precision: Any = "int8" if options.int8 else "fp16" if options.half else "fp32"
    judge, _ = make(checkpoint, examples, _card(options, checkpoint), options.out, precision)
    _report(options, judge.card)


def _card(options: argparse.Namespace, checkpoint: Checkpoint) -> Card:
    """What is known of a judge before it is made."""
    from model.card import Card
    from model.training.run import frozen_blocks

    config = checkpoint.config
    network = checkpoint.network()
    depth, blocks = frozen_blocks(network, config), len(network.backbone.blocks)
    how = {0: "end to end", blocks: "frozen"}.get(depth, f"first {depth} blocks frozen")
    by = f", by deepselfie {checkpoint.commit[:12]}" if checkpoint.commit else ""
    return Card(
        name=options.name or options.checkpoint.resolve().parent.name,
        version=options.version,
        description=options.description,
        labels=checkpoint.labels,
        input_size=network.side,
        reference_name=options.reference_name,
        caution=options.caution,
        training=f"{config.backbone}, {how}, {checkpoint.epoch} epochs on dataset "
        f"{checkpoint.fingerprint[:12]}{by}.",
        licence=options.licence,
        max_batch=options.max_batch,
    )


def _ensemble(options: argparse.Namespace) -> None:
    from tempfile import TemporaryDirectory

    from model.dataset.examples import Examples
    from model.export.ensemble import Member, join
    from model.export.files import publish
    from model.export.recipe import measured

    members = [Member.load(file) for file in options.files]
    with TemporaryDirectory() as folder:
        draft = join(members, options.name or options.out.stem, options.version, Path(folder))
        names = ("description", "caution", "reference_name", "max_batch")
        said = {name: getattr(options, name) for name in names}
        joined = draft.card.model_copy(update={name: words for name, words in said.items() if words})
        if options.dataset:
            joined, _ = measured(joined, draft.judge, Examples.load(options.dataset))
        _report(options, publish(draft, joined, options.out).card)


def _report(options: argparse.Namespace, card: Card) -> None:
    if options.json:
        print(json.dumps(card.model_dump(mode="json"), ensure_ascii=False))
        return
    from model.export.inspection import as_text, inspect

    print(as_text(inspect(options.out)))


def _told(run: Callable[[], None]) -> int:
    """Run, and tell what went wrong in one sentence."""
    from pydantic import ValidationError

    from model.dataset.posts import DatasetError
    from model.export.refusal import ExportRefused
    from model.judge import JudgeRefused
    from model.training.failure import TrainingFailed

    try:
        run()
    except (DatasetError, ExportRefused, JudgeRefused, TrainingFailed) as error:
        print(f"deepselfie: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or "a temporary file"
        reason = f"{where}: {error.strerror}; nothing was written, make room and try again"
        print(f"deepselfie: {reason}", file=sys.stderr)
        return 1
    except ValidationError as error:
        first = error.errors()[0]
        print(
            f"deepselfie: the card cannot say so: {'.'.join(map(str, first['loc']))}: {first['msg']}",
            file=sys.stderr,
        )
        return 1
    return 0
