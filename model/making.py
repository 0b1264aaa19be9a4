"""`deepselfie model`: finds the step of making a judge, and imports nothing that the step does not need."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

STEPS = {
    "simulate": (
        "model.simulation.command",
        "draw a network of people who post portraits, with known tastes",
    ),
    "collect": ("model.collection.command", "gather public posts with a tag from a network"),
    "faces": ("model.collection.command", "count and measure the faces in the photos"),
    "label": ("model.dataset.command", "call posts good or bad by their likes, for the audience they had"),
    "forget": ("model.collection.command", "remove a post, or all of an author's, from a dataset"),
    "train": ("model.training.command", "teach a network from labelled photos"),
    "export": ("model.export.command", "turn a checkpoint into a judge's .onnx file"),
    "ensemble": ("model.export.command", "join several judges into one file, by their mean"),
    "evaluate": ("model.evaluation.command", "measure a judge's .onnx file on labelled photos"),
    "card": ("model.export.command", "print what a judge's file says about itself"),
    "use": ("worker.choosing", "let the workers judge with a file, or with the one before it"),
    "list": ("worker.listing", "list the judges that the workers can have"),
}
NAMES = {"list": "show"}
"""Steps whose function is called otherwise."""
OURS = ("bot", "worker", "model")
EXTRAS = {"pyspark": "spark"}
"""Which of our extras a package comes with, if not with `train`."""
SERVING = {"use", "list"}
"""Steps that need no more than a worker has."""
INTERRUPTED = 130


def model(arguments: Sequence[str]) -> int:
    """Run one step of making a judge."""
    width = max(map(len, STEPS))
    listing = "\n".join(f"  {name:{width}}  {purpose}" for name, (_, purpose) in STEPS.items())
    parser = argparse.ArgumentParser(
        prog="deepselfie model",
        description="Make a judge of photos: from posts to labels, a trained network and one .onnx file.",
        epilog=f"steps, in the order of their use:\n{listing}\n\n"
        "`deepselfie model STEP --help` explains a step; docs/model.md tells the whole story.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", metavar="STEP", choices=STEPS, help="what to do, see below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    try:
        run = getattr(import_module(STEPS[chosen.step][0]), NAMES.get(chosen.step, chosen.step))
        status: int = run(chosen.arguments)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in OURS:
            raise
        extra = "cpu" if chosen.step in SERVING else EXTRAS.get(package, "train")
        print(
            f"deepselfie: `model {chosen.step}` needs {package}, which is not installed; "
            f"run `pip install 'deepselfie[{extra}]'`",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    return status
