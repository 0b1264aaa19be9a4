"""Several judges → one file: the mean of their probabilities.

Their embeddings are laid side by side, so that photos which any member tells apart stay apart. Heat is left
out: it adds up to one judge's logit, and the mean of probabilities is no sum of logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import numpy as np
import onnx
from onnx import compose, helper, numpy_helper, version_converter

from model.card import Card, Parity
from model.export.files import Draft
from model.export.graph import clean
from model.export.parity import FP32_GAP, SERVER_GAP
from model.export.refusal import ExportRefused
from model.judge import Judge, JudgeRefused
from model.patterns import patterns

CHECKED_ON = 32  # patterns
MEANINGS = ("probabilities", "embedding")


@dataclass(frozen=True)
class Member:
    """One judge of an ensemble."""

    file: Path
    judge: Judge
    model: onnx.ModelProto

    @classmethod
    def load(cls, file: Path) -> Member:
        """Read a judge's file.

        Raises:
            ExportRefused: It is none.
        """
        try:
            return cls(file, Judge(file), onnx.load(file))
        except JudgeRefused as error:
            raise ExportRefused(str(error)) from error


def join(members: Sequence[Member], name: str, version: str, folder: Path) -> Draft:
    """Make one judge of several in a temporary folder, and compare it with them.

    Raises:
        ExportRefused: They do not fit together, or together say something else.
    """
    _check_fit(members)
    model = _joined(members)
    card = _card(members, name, version, model)
    draft = Draft(model, card, folder / "ensemble.onnx")
    draft.card = card.model_copy(update={"parity": _parity(members, draft.judge)})
    return draft


def _check_fit(members: Sequence[Member]) -> None:
    if len(members) < 2:
        raise ExportRefused(f"an ensemble takes at least two judges, {len(members)} given")
    first = members[0]
    for other in members[1:]:
        for what, one, two in (
            ("list of labels", first.judge.card.labels, other.judge.card.labels),
            ("input size", first.judge.card.input_size, other.judge.card.input_size),
        ):
            if one != two:
                raise ExportRefused(
                    f"{other.file}: its {what} is {_words(two)}, that of {first.file} is {_words(one)}; "
                    "only judges of one kind can be averaged"
                )


def _words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{label.name} ({label.value:g})" for label in value)
    return f"{value} pixels"


def _joined(members: Sequence[Member]) -> onnx.ModelProto:
    opset = max(_opset(member.model) for member in members)
    parts = [_prefixed(_at_opset(member, opset), f"m{number}/") for number, member in enumerate(members)]
    probabilities, embedding = ([f"m{number}/{name}" for number in range(len(parts))] for name in MEANINGS)
    mean = [
        helper.make_node("Sum", probabilities, ["sum"]),
        helper.make_node("Div", ["sum", "members"], ["probabilities"]),
        helper.make_node("Concat", embedding, ["embedding"], axis=1),
    ]
    count = numpy_helper.from_array(np.array(len(parts), np.float32), "members")
    card, info, floats = members[0].judge.card, helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node for part in parts for node in part.graph.node] + mean,
        "judge",
        [info("photos", onnx.TensorProto.UINT8, ["n", card.input_size, card.input_size, 3])],
        [
            info("probabilities", floats, ["n", len(card.labels)]),
            info("embedding", floats, ["n", sum(_width(member.judge) for member in members)]),
        ],
        [tensor for part in parts for tensor in part.graph.initializer] + [count],
    )
    imports = {one.domain: one for part in parts for one in part.opset_import}
    ir_version = max(part.ir_version for part in parts)
    return clean(helper.make_model(graph, ir_version=ir_version, opset_imports=list(imports.values())))


def _prefixed(model: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """Give everything in a graph a name of its own, but for the input."""
    prefixed = compose.add_prefix(model, prefix, rename_inputs=False)
    for node in prefixed.graph.node:
        for at, name in enumerate(node.input):
            if name == f"{prefix}photos":
                node.input[at] = "photos"
    return prefixed


def _width(judge: Judge) -> int:
    return int(judge(patterns([0], judge.card.input_size)).embedding.shape[1])


def _opset(model: onnx.ModelProto) -> int:
    return max(int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx"))


def _at_opset(member: Member, opset: int) -> onnx.ModelProto:
    if _opset(member.model) == opset:
        return member.model
    try:
        return version_converter.convert_version(member.model, opset)
    # The converter raises RuntimeError and its own, which share no base class but Exception.
    except Exception as error:
        raise ExportRefused(
            f"{member.file}: its opset {_opset(member.model)} cannot be turned into {opset}; export it again"
        ) from error


def _card(members: Sequence[Member], name: str, version: str, model: onnx.ModelProto) -> Card:
    cards = [member.judge.card for member in members]
    names = tuple(f"{card.name} {card.version}" for card in cards)

    def joined(values: list[str]) -> str:
        return "; ".join(dict.fromkeys(value.removesuffix(".") for value in values if value))

    return Card(
        name=name,
        version=version,
        description=f"The mean of {len(cards)} judges: {', '.join(names)}.",
        labels=cards[0].labels,
        input_size=cards[0].input_size,
        caution=next((card.caution for card in cards if card.caution), ""),
        training=joined([card.training for card in cards]),
        licence=joined([card.licence for card in cards]),
        dataset=cards[0].dataset if len({card.dataset for card in cards}) == 1 else "",
        members=names,
        opset=_opset(model),
        max_batch=min((card.max_batch for card in cards if card.max_batch), default=None),
        precision=reduce(lambda one, two: one if one == two else None, (card.precision for card in cards)),
    )


def _parity(members: Sequence[Member], judge: Judge) -> Parity:
    squares = patterns(range(CHECKED_ON), judge.card.input_size)
    expected = np.mean([member.judge(squares).probabilities for member in members], axis=0)
    gap = float(np.abs(judge(squares).probabilities - expected).max())
    if not gap <= FP32_GAP:
        raise ExportRefused(
            f"the joined file's probabilities differ from the mean of its members' by {gap:.2g}, limit is "
            f"{FP32_GAP}; nothing was written, export the members again"
        )
    tolerance = max(SERVER_GAP[member.judge.card.precision or "fp32"] for member in members)
    return Parity(gap=gap, photos=0, tolerance=tolerance)
