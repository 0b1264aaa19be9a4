"""Does a file do what it was made of? Differences of probabilities, verdicts and AUC, each with its limit."""

from __future__ import annotations

import numpy as np
import torch

from model.card import Card, Parity, Sample
from model.evaluation.metrics import auc
from model.export.refusal import ExportRefused
from model.export.trial import Trial
from model.judge import Floats, Judge
from model.patterns import patterns
from model.pixels import Pixels

FP32_GAP = 1e-4
"""Of a probability, between the network in torch and its file."""
SAME_VERDICTS = 0.99
"""Share of the photos whose likeliest label must survive smaller weights."""
AUC_GAP = 0.005
SAMPLES = 4
TORCH_PHOTOS = 64  # torch is slow, and a graph that is wrong is wrong on any photo
SERVER_GAP = {"fp32": 1e-3, "fp16": 1e-3, "int8": 0.05}
"""Other processors add in another order, and some round 8-bit sums."""


def against_network(network: torch.nn.Module, judge: Judge, trial: Trial) -> Parity:
    """Compare a file's probabilities with the network's, on photos and on patterns.

    Raises:
        ExportRefused: They differ, or are no numbers.
    """
    few = trial.spread(TORCH_PHOTOS)
    gap, same = 0.0, []
    for batch in (patterns(range(SAMPLES), judge.card.input_size), *few.batches()):
        with torch.no_grad():
            expected = network(torch.from_numpy(batch))[0].numpy()
        found = judge(batch).probabilities
        gap = max(gap, _gap(found, expected))
        same.append(found.argmax(1) == expected.argmax(1))
    if not gap <= FP32_GAP:
        raise ExportRefused(
            f"the file's probabilities differ from the network's by {gap:.2g}, limit is {FP32_GAP}; "
            "nothing was written, export with another version of torch or onnxscript"
        )
    share = float(np.concatenate(same)[SAMPLES:].mean()) if len(few) else 1.0
    return Parity(gap=gap, photos=len(few), same_verdicts=share, tolerance=SERVER_GAP["fp32"])


def against_fp32(fp32: Judge, judge: Judge, trial: Trial) -> Parity:
    """Compare a file of smaller weights with the one of 32 bits.

    Raises:
        ExportRefused: Too many verdicts differ, or the AUC does.
    """
    old, new = trial.probabilities(fp32), trial.probabilities(judge)
    same = float(np.mean(old.argmax(1) == new.argmax(1))) if len(trial) else 1.0
    gap = _auc_gap(old, new, trial)
    if not same >= SAME_VERDICTS:
        raise ExportRefused(
            f"{judge.card.precision} changes {1 - same:.2%} of {len(trial)} verdicts, "
            f"limit is {1 - SAME_VERDICTS:.0%}; nothing was written, export without it"
        )
    if gap is not None and not gap <= AUC_GAP:
        raise ExportRefused(
            f"{judge.card.precision} changes the AUC by {gap:.4f}, limit is {AUC_GAP}; "
            "nothing was written, export without it"
        )
    return Parity(
        gap=_gap(new, old) if len(trial) else 0.0,
        photos=len(trial),
        same_verdicts=same,
        auc_gap=gap,
        tolerance=SERVER_GAP[judge.card.precision or "fp32"],
    )


def with_samples(card: Card, judge: Judge) -> Card:
    """Add to a card's parity what its file says about a few patterns."""
    assert card.parity
    probabilities = judge(patterns(range(SAMPLES), card.input_size)).probabilities
    samples = tuple(
        Sample(seed=seed, probabilities=tuple(row.clip(0, 1).round(6)))
        for seed, row in enumerate(probabilities.astype(float))
    )
    return card.model_copy(update={"parity": card.parity.model_copy(update={"samples": samples})})


def _auc_gap(old: Floats, new: Floats, trial: Trial) -> float | None:
    if trial.counts is None:
        return None
    gaps = [
        abs(auc(new[:, label], mine, others) - auc(old[:, label], mine, others))
        for label in range(old.shape[1])
        if (mine := trial.counts[:, label]).any()
        and (others := trial.counts.sum(1) - trial.counts[:, label]).any()
    ]
    return float(max(gaps)) if gaps else None


def _gap(one: Pixels | Floats, other: Pixels | Floats) -> float:
    """Largest difference; nan where there is one."""
    return float(np.abs(one - other).max())
