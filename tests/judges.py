"""A judge small enough to understand: it likes bright photos. A real .onnx file, made in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.card import METADATA_KEY, Card, Label, Parity, Sample
from model.judge import Judge
from model.patterns import patterns

SIDE = 32

CARD = Card(
    name="brightness",
    version="1",
    description="likes bright photos",
    labels=(Label(name="dark", value=0), Label(name="bright", value=1)),
    input_size=SIDE,
    reference=(0.0, 0.25, 0.5, 0.75, 1.0),
    reference_name="shades of grey",
    training="none",
    licence="MIT",
)


def brightness_judge(
    file: Path, *, card: str | None = None, labels: int = 2, side: int = SIDE, white: float = 255
) -> Path:
    """Write a judge whose score is a photo's mean brightness; the arguments make it break the contract."""
    constants = {
        "scale": np.array([white], np.float32),
        "axes": np.array([1, 2, 3]),
        "one": np.array([1], np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["photos"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["mean"], keepdims=1),  # (n, 1, 1, 1)
        helper.make_node("Div", ["mean", "scale"], ["share"]),
        helper.make_node("Flatten", ["share"], ["bright"]),  # (n, 1)
        helper.make_node("Sub", ["one", "bright"], ["dark"]),
        helper.make_node("Concat", ["dark", "bright", *["bright"] * (labels - 2)], ["probabilities"], axis=1),
        helper.make_node("Identity", ["bright"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["n", side, side, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", labels]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 1]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    text = CARD.model_dump_json() if card is None else card
    if text:
        helper.set_model_props(model, {METADATA_KEY: text})
    onnx.save(model, file)
    return file


def versioned(file: Path, version: str, *, side: int = SIDE, off: float = 0.0, white: float = 255) -> Path:
    """Write a judge with a version and samples in its card, which are `off` the truth.

    With more than 255 for white it finds everything darker than it is.
    """
    card = CARD.model_copy(update={"version": version, "input_size": side})
    brightness_judge(file, card=card.model_dump_json(), side=side, white=white)
    bright = Judge(file)(patterns((1, 2), side)).probabilities[:, 1].astype(float) + off
    samples = tuple(
        Sample(seed=seed, probabilities=(1 - share, share))
        for seed, share in zip((1, 2), bright, strict=True)
    )
    parity = Parity(gap=0, photos=0, tolerance=1e-3, samples=samples)
    card = card.model_copy(update={"parity": parity})
    return brightness_judge(file, card=card.model_dump_json(), side=side, white=white)
