"""A checkpoint and its dataset → a judge's file: temperature, parity, smaller weights, metrics, card."""

from __future__ import annotations

import os
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from model.card import Card, Label, Precision
from model.dataset.examples import Examples
from model.dataset.posts import DatasetError
from model.evaluation.judged import judged
from model.evaluation.measurement import Measurement, measure
from model.evaluation.squares import squares
from model.export.files import build, publish
from model.export.refusal import ExportRefused
from model.export.temperature import temperature
from model.export.trial import Trial
from model.judge import Judge


class Checkpoint(Protocol):
    """What is needed of model/training/checkpoint.py."""

    @property
    def labels(self) -> tuple[Label, ...]: ...  # noqa: D102
    @property
    def fingerprint(self) -> str: ...  # noqa: D102
    def network(self) -> torch.nn.Module: ...  # noqa: D102


def make(
    checkpoint: Checkpoint, examples: Examples, card: Card, file: Path, precision: Precision = "fp32"
) -> tuple[Judge, Measurement]:
    """Make a judge of a checkpoint, measure it on the test part, and write it.

    Args:
        checkpoint: The trained network, and what it was trained on.
        examples: That dataset.
        card: What nobody but its maker can say; the rest is filled in.
        file: Where to; an older file of that name is replaced in one step.
        precision: What weights are stored in.

    Raises:
        ExportRefused: A check failed; nothing was written.
        DatasetError: The dataset is another one, or cannot be read.
    """
    if checkpoint.fingerprint != examples.fingerprint:
        raise ExportRefused(
            f"{examples.folder} is not the dataset of this checkpoint, or has been labelled anew since: its "
            f"fingerprint is {examples.fingerprint[:12]}, not {checkpoint.fingerprint[:12]}; its test part "
            "may hold photos the network learned from. Name the right one with --dataset"
        )
    network = checkpoint.network()
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        trial = photographs(examples.part("validation"), card.input_size)
        divisor = cool(network, card, trial, folder)
        card = card.model_copy(update={"temperature": round(divisor, 4), "dataset": checkpoint.fingerprint})
        draft = build(network, card, folder, trial=trial, precision=precision)
        card, measurement = measured(draft.card, draft.judge, examples)
        return publish(draft, card, file), measurement


def cool(network: torch.nn.Module, card: Card, trial: Trial, folder: Path) -> float:
    """Set the network's temperature by what its file says about the photos, and return it."""
    network.temperature.fill_(1.0)
    lukewarm = build(network, card, folder, trial=trial.spread(0))
    assert trial.counts is not None
    divisor = temperature(trial.probabilities(lukewarm.judge), trial.counts)
    network.temperature.fill_(divisor)
    return divisor


def measured(card: Card, judge: Judge, examples: Examples) -> tuple[Card, Measurement]:
    """Add to a card how good its judge is on the test part, and what scores it gives there.

    Raises:
        DatasetError: There is no test part, or it cannot be read.
    """
    test = examples.part("test")
    if not test.photos:
        raise DatasetError(f"{examples.folder}: no post is in the test part; label it again with one")
    measurement = measure(judged(judge, test))
    update: dict[str, Any] = {"metrics": measurement.metrics(), "reference": tuple(measurement.reference)}
    if not card.reference_name:
        update["reference_name"] = f"{measurement.photos:,} photos I was tested on"
    return card.model_copy(update=update), measurement


def photographs(examples: Examples, side: int) -> Trial:
    """Decode the photos of a dataset once, onto the disk, since they are looked at several times.

    Raises:
        DatasetError: None of them can be read.
    """
    shape = (max(1, len(examples.photos)), side, side, 3)
    with TemporaryFile() as file:
        # Else a disk that fills while photos are written to the map would end the process without a word.
        os.posix_fallocate(file.fileno(), 0, prod(shape))
        photos: NDArray[np.uint8] = np.memmap(file, np.uint8, "r+", shape=shape)
    readable: list[NDArray[np.int64]] = []
    filled = 0
    for batch in squares(examples, side, "reading validation photos"):
        photos[filled : filled + len(batch.photo)] = batch.squares
        filled += len(batch.photo)
        readable.append(batch.photo)
    if not filled:
        raise DatasetError(f"{examples.folder}: the validation part holds no photo that can be read")
    return Trial(photos[:filled], examples.counts()[np.concatenate(readable)])
