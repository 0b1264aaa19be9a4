"""`deepselfie model train`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from model.training.config import OFF, ON, Augmentation, Config
from model.training.failure import TrainingFailed

PRESETS = {"off": OFF, "on": ON}
SMOKE_EPOCHS = 2
APART = ("augmentation", "smoke")
"""Fields of a config that are no option of their own."""


def train(arguments: Sequence[str]) -> int:
    """Teach a network from labelled photos."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        config = _config(vars(options))
    except ValidationError as error:
        first = error.errors()[0]
        name = next(str(part) for part in reversed(first["loc"]) if str(part) in vars(options))
        parser.error(f"--{name.replace('_', '-')} is {first['input']!r}: {first['msg']}")
    if options.processes < 0:
        parser.error(f"--processes is {options.processes}, it must be at least 1, or 0 for one a core")
    from model.dataset.examples import Examples
    from model.dataset.posts import DatasetError
    from model.training.run import train as run
    from model.training.sources import Means

    means = Means(options.cache, options.cache_folder, options.processes, options.save_seconds)
    try:
        best = run(Examples.load(options.dataset), options.out, config, means)
        # Of several processes one speaks.
        if os.environ.get("RANK", "0") == "0":
            print(_told(options, best.epoch, best.metrics))
    except (DatasetError, TrainingFailed) as error:
        return _refuse(str(error))
    except OSError as error:
        where = error.filename or options.out
        return _refuse(f"{where} cannot be written or read: {error.strerror or error}")
    return 0


def _refuse(why: str) -> int:
    print(f"deepselfie: {why}", file=sys.stderr)
    return 1


def _told(options: argparse.Namespace, epoch: int, metrics: dict[str, float]) -> str:
    from model.training.checkpoint import BEST
    from model.training.curves import JSON

    file = options.out / BEST
    epochs = len(json.loads((options.out / JSON).read_text()))
    if options.json:
        return json.dumps({"checkpoint": str(file), "epoch": epoch, "epochs": epochs, **metrics})
    measured = f"loss {metrics['loss']:.4f}, accuracy {metrics['accuracy']:.3f} on the validation part"
    return f"{file}: epoch {epoch} of {epochs}, {measured}"


def _config(options: dict[str, Any]) -> Config:
    """Make the config that the options describe; those that were not given are None."""
    given = {name: value for name, value in options.items() if value is not None}
    changed = PRESETS[options["augment"]].model_dump() | _only(given, Augmentation)
    config = _only(given, Config) | {"augmentation": Augmentation.model_validate(changed)}
    if options["smoke"]:
        config = {"epochs": SMOKE_EPOCHS} | config | {"smoke": True}
    made = Config.model_validate(config)
    return made.model_copy(update={"epochs": min(made.epochs, SMOKE_EPOCHS)}) if made.smoke else made


def _only(given: dict[str, Any], kind: type[BaseModel]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in kind.model_fields and name not in APART}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="deepselfie model train",
        description="Teach a network from labelled photos. "
        "The same command goes on with a run that was cut off; "
        "for several GPUs or machines: torchrun --nproc-per-node 2 -m model.training DATASET …",
    )
    parser.add_argument("dataset", type=Path, help="a folder that `deepselfie model label` has written to")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="a folder for checkpoints and curves"
    )
    parser.add_argument("--smoke", action="store_true", help=Config.model_fields["smoke"].description)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object at the end: checkpoint, epoch, …"
    )
    _add_fields(parser.add_argument_group("how to train"), Config)
    augmentation = parser.add_argument_group("augmentation", str(Augmentation.__doc__))
    told = ", ".join(f"{name} {value:g}" for name, value in ON.model_dump().items())
    augmentation.add_argument("--augment", choices=PRESETS, default="off", help=f"a preset; on: {told}")
    _add_fields(augmentation, Augmentation, told=False)
    _add_means(parser.add_argument_group("the machine; none of this changes what is learned"))
    return parser


def _add_means(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--cache",
        type=float,
        default=10.0,
        metavar="GB",
        help="largest cache of a part's decoded photos or features; 0: none (10)",
    )
    group.add_argument(
        "--cache-folder", type=Path, metavar="DIR", help="where caches are kept; runs may share it (in RUN)"
    )
    group.add_argument("--processes", type=int, default=0, metavar="N", help="that load photos (one a core)")
    group.add_argument(
        "--save-seconds",
        type=float,
        default=300,
        metavar="S",
        help="between two checkpoints within an epoch (300)",
    )


def _add_fields(group: argparse._ArgumentGroup, kind: type[BaseModel], *, told: bool = True) -> None:
    for name, field in kind.model_fields.items():
        if name in APART:
            continue
        choices = _choices(field)
        default = f" ({field.default})" if told else ""
        group.add_argument(
            f"--{name.replace('_', '-')}",
            choices=choices,
            metavar=None if choices else name.upper(),
            help=f"{field.description}{default}".replace("%", "%%"),
        )


def _choices(field: FieldInfo) -> tuple[str, ...] | None:
    """The words that a field allows, where it allows nothing else."""
    allowed = get_args(field.annotation)
    return allowed if allowed and all(isinstance(word, str) for word in allowed) else None
