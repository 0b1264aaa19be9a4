"""A torch network → a judge's file, checked on photos, whole or not at all.

ExportRefused: the file would not be what it says it is; nothing was written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import torch
from onnx import helper

from model.card import METADATA_KEY, Card, Precision
from model.export.eight_bits import CALIBRATED_ON, quantised
from model.export.graph import graph
from model.export.halves import halve
from model.export.parity import against_fp32, against_network, with_samples
from model.export.refusal import ExportRefused
from model.export.trial import Trial
from model.files import replacing
from model.judge import Judge, JudgeRefused
from model.training.tracing import OPSET


def export(
    network: torch.nn.Module, card: Card, file: Path, *, trial: Trial, precision: Precision = "fp32"
) -> Judge:
    """Write a network as a judge's file, whole or not at all, and load it.

    Args:
        network: From uint8 (n, S, S, 3) to probabilities (n, K), embedding (n, D) and maybe heat (n, h, w),
            as its attribute `outputs` says.
        card: What the file says about itself; S is its `input_size`. Opset, precision and parity are added.
        file: Where to; an older file of that name is replaced in one step.
        trial: Photos on which network and file must agree; of 8 bits, those that set the ranges, too.
        precision: What weights are stored in.

    Returns:
        The judge that the file holds.

    Raises:
        ExportRefused: The file breaks the contract, or does not do what the network does.
    """
    with TemporaryDirectory() as folder:
        draft = build(network, card, Path(folder), trial=trial, precision=precision)
        return publish(draft, draft.card, file)


class Draft:
    """A judge that is not published yet: in a file that will be gone."""

    def __init__(self, model: onnx.ModelProto, card: Card, file: Path) -> None:
        self.model, self.card = model, card
        _write(model, card, file)
        self.judge = _loaded(file)


def build(
    network: torch.nn.Module, card: Card, folder: Path, *, trial: Trial, precision: Precision = "fp32"
) -> Draft:
    """Make a judge in a temporary folder, and compare it with its network.

    Raises:
        ExportRefused: It breaks the contract, or does not do what the network does.
    """
    model = graph(network, card.input_size)
    made_of: dict[str, object] = {"opset": OPSET, "precision": "fp32"}
    fp32 = Draft(model, card.model_copy(update=made_of), folder / "fp32.onnx")
    parity = against_network(network, fp32.judge, trial)
    fp32.card = fp32.card.model_copy(update={"parity": parity})
    return fp32 if precision == "fp32" else _smaller(fp32, precision, folder, trial)


def publish(draft: Draft, card: Card, file: Path) -> Judge:
    """Write a draft with its final card, whole or not at all.

    Raises:
        ExportRefused: The disk is full, or the like.
    """
    card = Card.model_validate(with_samples(card, draft.judge).model_dump())
    with _one_sentence(file), replacing(file) as unchecked:
        _write(draft.model, card, unchecked)
        return _loaded(unchecked)


def _smaller(fp32: Draft, precision: Precision, folder: Path, trial: Trial) -> Draft:
    """Raise the refusal of the truest one where none is true enough."""
    refusal = ExportRefused(f"nothing in the network is worth {precision}; export it without")
    card = fp32.card.model_copy(update={"precision": precision})
    for model in _candidates(fp32.model, precision, trial):
        draft = Draft(model, card, folder / f"{precision}.onnx")
        try:
            parity = against_fp32(fp32.judge, draft.judge, trial)
        except ExportRefused as error:
            refusal = error
            continue
        draft.card = card.model_copy(update={"parity": parity})
        return draft
    raise refusal


def _candidates(model: onnx.ModelProto, precision: Precision, trial: Trial) -> Iterator[onnx.ModelProto]:
    if precision == "fp16":
        yield halve(model)
    else:
        yield from quantised(model, trial.spread(CALIBRATED_ON))


def _write(model: onnx.ModelProto, card: Card, file: Path) -> None:
    labelled = onnx.ModelProto()
    labelled.CopyFrom(model)
    helper.set_model_props(labelled, {METADATA_KEY: card.model_dump_json()})
    onnx.checker.check_model(labelled)
    file.write_bytes(labelled.SerializeToString())


def _loaded(file: Path) -> Judge:
    try:
        return Judge(file)
    except JudgeRefused as error:
        raise ExportRefused(f"the export is no judge, nothing was written: {error}") from error


@contextmanager
def _one_sentence(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportRefused(
            f"{file} cannot be written ({error.strerror}); make room or name another place with --out"
        ) from error
