"""A judge of VGG16's shape with random weights: speed and memory do not ask what it thinks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from model.card import METADATA_KEY, Card, Label

SIDE = 224
# Maps of each group of convolutions, and how many there are; then the dense layers.
CONVOLUTIONS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
DENSE = (4096, 4096)
CARD = Card(
    name="large",
    version="0",
    description="has random weights",
    labels=(Label(name="bad", value=0), Label(name="good", value=1)),
    input_size=SIDE,
    training="none",
    licence="MIT",
)


def layers(thin: int = 1) -> list[tuple[int, ...]]:
    """The shapes of all weights, in all but the last layer so many times fewer than VGG16's."""
    found: list[tuple[int, ...]] = []
    width = 3
    for wider, count in CONVOLUTIONS:
        for _ in range(count):
            found.append((wider // thin, width, 3, 3))
            width = wider // thin
    width *= (SIDE >> len(CONVOLUTIONS)) ** 2
    for wider in (*(wide // thin for wide in DENSE), len(CARD.labels)):
        found.append((wider, width))
        width = wider
    return found


def parameters() -> int:
    """How many parameters it has."""
    return sum(int(np.prod(shape)) + shape[0] for shape in layers())


def vgg16(file: Path, thin: int = 1) -> Path:
    """Write a judge of VGG16's shape, or so many times thinner, that keeps the contract of model/judge.py."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Cast", ["photos"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["planes", "white"], ["last0"]),
    ]
    constants = {"white": np.array([255], np.float32)}
    pooled = {sum(count for _, count in CONVOLUTIONS[: number + 1]) for number in range(len(CONVOLUTIONS))}
    shapes = layers(thin)
    for number, shape in enumerate(shapes, 1):
        # He's: what comes out is as large as what goes in.
        scale = np.float32((2 / np.prod(shape[1:])) ** 0.5)
        constants[f"w{number}"] = rng.standard_normal(shape, np.float32) * scale
        constants[f"b{number}"] = np.zeros(shape[0], np.float32)
        nodes += _layer(number, is_map=len(shape) == 4, pool=number in pooled, final=number == len(shapes))
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("photos", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(CARD.labels)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", DENSE[-1] // thin]),
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: CARD.model_dump_json()})
    save(model, file)
    return file


def _layer(number: int, *, is_map: bool, pool: bool, final: bool) -> list[Any]:
    """One layer of weights and what follows it, from `last<number - 1>` to `last<number>`."""
    before, after = f"last{number - 1}", f"last{number}"
    if is_map:
        inputs = [before, f"w{number}", f"b{number}"]
        nodes = [helper.make_node("Conv", inputs, [f"sum{number}"], pads=[1, 1, 1, 1])]
        relu = f"map{number}" if pool else after
        nodes.append(helper.make_node("Relu", [f"sum{number}"], [relu]))
        if pool:
            nodes.append(helper.make_node("MaxPool", [relu], [after], kernel_shape=[2, 2], strides=[2, 2]))
        return nodes
    flat = helper.make_node("Flatten", [before], [f"flat{number}"])
    gemm = helper.make_node("Gemm", [f"flat{number}", f"w{number}", f"b{number}"], [f"sum{number}"], transB=1)
    if final:
        return [
            flat,
            gemm,
            helper.make_node("Softmax", [f"sum{number}"], ["probabilities"]),
            helper.make_node("Identity", [before], ["embedding"]),
        ]
    return [flat, gemm, helper.make_node("Relu", [f"sum{number}"], [after])]
