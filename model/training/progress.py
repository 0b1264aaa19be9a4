"""How far a training run is, and whether it is the one to go on with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from model.dataset.examples import Examples
from model.training.checkpoint import LAST, Checkpoint, load
from model.training.config import Config
from model.training.curves import Epoch
from model.training.failure import TrainingFailed
from model.training.trainer import Totals


@dataclass
class Progress:
    """How far a run is."""

    epoch: int = 0
    step: int = 0
    """Of the epoch."""
    totals: Totals = field(default_factory=Totals)
    """Of the epoch."""
    history: list[Epoch] = field(default_factory=list)
    best: float = float("inf")
    """The lowest loss on the validation part."""
    waited: int = 0
    """Epochs since then."""
    seconds: float = 0.0


def earlier_run(examples: Examples, out: Path, config: Config) -> Checkpoint | None:
    """Find what to go on with: the last checkpoint in a run's folder, or nothing.

    Raises:
        TrainingFailed: It is of another dataset, or was trained in another way.
    """
    if not (out / LAST).exists():
        return None
    last = load(out / LAST)
    advice = "give another --out, or remove this one"
    if last.fingerprint != examples.fingerprint:
        raise TrainingFailed(
            f"{out} holds a run on another dataset (fingerprint {last.fingerprint[:12]}, this one's is "
            f"{examples.fingerprint[:12]}); {advice}"
        )
    before, now = last.config.model_dump(), config.model_dump()
    if changed := [name for name in now if before[name] != now[name]]:
        name = changed[0]
        raise TrainingFailed(f"{out} holds a run with {name} {before[name]}, not {now[name]}; {advice}")
    return last
