"""A training run on disk: all that is needed to go on with it, or to make a judge of it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from model.card import Label
from model.files import replacing
from model.training.backbones import backbone
from model.training.config import Config
from model.training.failure import TrainingFailed
from model.training.network import Network

FORMAT = "deepselfie-checkpoint-1"
LAST, BEST = "last.pt", "best.pt"

_LABELS = TypeAdapter(tuple[Label, ...])


@dataclass(frozen=True)
class Checkpoint:
    """A run as it was after some step."""

    config: Config
    labels: tuple[Label, ...]
    """From worst to best."""
    fingerprint: str
    """Of the dataset."""
    dataset: str
    """The dataset's folder, as it was given."""
    commit: str
    """Of the program that trained; empty where there is no git."""
    epoch: int
    """Whole epochs so far."""
    step: int
    """Steps so far of the epoch after those."""
    metrics: dict[str, float]
    """Of the last whole epoch, on the validation part."""
    state: Mapping[str, torch.Tensor]
    """The network's."""
    progress: Mapping[str, Any] = field(default_factory=dict)
    """What only going on needs: the optimiser, the random numbers, the curves."""

    def network(self) -> Network:
        """The network as it was trained, ready to judge; its head takes features as they are."""
        network = build(self.config, len(self.labels))
        network.load_state_dict(self.state)
        network.fold()
        network.eval()
        return network


def build(config: Config, labels: int) -> Network:
    """Make the network that a config describes, with random weights."""
    torch.manual_seed(config.seed)
    return Network(backbone(config.backbone, config.dropout), labels, config.pooling, config.dropout)


def save(checkpoint: Checkpoint, file: Path) -> None:
    """Write a checkpoint, whole or not at all; an older file of that name is replaced in one step.

    Raises:
        TrainingFailed: The disk is full, or the like. The older file is still there.
    """
    content = vars(checkpoint) | {
        "format": FORMAT,
        "config": checkpoint.config.model_dump_json(),
        "labels": _LABELS.dump_json(checkpoint.labels).decode(),
        "state": dict(checkpoint.state),
        "progress": dict(checkpoint.progress),
    }
    content["network"] = content.pop("state")
    # torch reports a full disk in its own words, and not always; plain writing is plain.
    packed = BytesIO()
    torch.save(content, packed)
    write(file, packed.getbuffer())


def write(file: Path, content: bytes | memoryview) -> None:
    """Replace a file in one step.

    Raises:
        TrainingFailed: The disk is full, or the like. The older file is still there.
    """
    try:
        with replacing(file) as draft:
            draft.write_bytes(content)
    except OSError as error:
        raise TrainingFailed(
            f"{file} cannot be written ({error.strerror}, {len(content) / 1e6:.1f} MB needed); "
            "what was saved before is whole: make room, then run the same command again"
        ) from error


def load(file: Path) -> Checkpoint:
    """Read a checkpoint, without running anything that is in it.

    Raises:
        TrainingFailed: There is none, or it is damaged or of another version.
    """
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        why = error.strerror or error
        raise TrainingFailed(
            f"checkpoint {file} cannot be read: {why}; name the best.pt in a run's folder"
        ) from error
    # Damaged files make torch and pickle raise all sorts, so this one boundary catches Exception.
    except Exception as error:
        raise TrainingFailed(f"checkpoint {file} is damaged; train again, or take another") from error
    if not isinstance(content, dict) or content.pop("format", None) != FORMAT:
        raise TrainingFailed(f"{file} is no checkpoint of this version ({FORMAT}); train again")
    try:
        content["config"] = Config.model_validate_json(content["config"])
        content["labels"] = _LABELS.validate_json(content["labels"])
        content["state"] = content.pop("network")
        return Checkpoint(**content)
    except (KeyError, TypeError, ValidationError) as error:
        raise TrainingFailed(f"checkpoint {file} does not say how it was trained; train again") from error


def commit() -> str:
    """The git commit of this program; empty where it is not run from a repository."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
