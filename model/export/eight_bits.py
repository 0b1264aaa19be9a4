"""8-bit weights and sums: a quarter of the size and half the time, where the verdicts bear it.

Static quantisation: ranges of activations come from photos, weights have a scale for each channel. Layers
with few outputs stay as they are, since those are the head and what draws the heat: what is rounded there is
seen at once. The first layers weigh little, but all the others build on what they round: where too many
verdicts change, they get their 32 bits back.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from model.export.graph import clean
from model.export.trial import Trial

CALIBRATED_ON = 512  # photos
FEW_OUTPUTS = 16
SPARED = (0, 10, 20, 40, 60, 80)
"""How many of the first nodes keep their 32 bits, in the order of trying."""

_WEIGHING, _PASSING = ("Conv", "Gemm"), ("Add", "Clip", "MaxPool", "Relu")


def quantised(model: onnx.ModelProto, trial: Trial) -> Iterator[onnx.ModelProto]:
    """Make 8-bit models of a 32-bit one, each truer to it and a bit slower than the one before.

    Args:
        model: As model/export/graph.py makes it.
        trial: Photos that show the activations' ranges.
    """
    names = _worth_it(model)
    with TemporaryDirectory() as folder:
        ranges = Path(folder) / "ranges.json"
        for spared in SPARED:
            if spared < len(names):
                yield _quantised(model, names[spared:], trial, ranges)


def _quantised(model: onnx.ModelProto, names: list[str], trial: Trial, ranges: Path) -> onnx.ModelProto:
    before, after = ranges.with_name("before.onnx"), ranges.with_name("after.onnx")
    onnx.save(model, before)
    # It recommends passes over the graph that torch's exporter has made already.
    logging.getLogger().addFilter(_silence)
    try:
        quantize_static(
            before,
            after,
            _Photos(trial),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=[*_WEIGHING, *_PASSING],
            nodes_to_quantize=names,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibration_cache_path=ranges,
        )
    finally:
        logging.getLogger().removeFilter(_silence)
    return clean(onnx.load(after))


def _worth_it(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes to quantise: large layers, and what passes on nothing but their results."""
    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    chosen: dict[str, str] = {}  # a node's result → its name
    for node in model.graph.node:
        if node.op_type in _WEIGHING:
            shape = shapes.get(node.input[1], (0,))
            transposed = any(one.name == "transB" and one.i for one in node.attribute)
            outputs = shape[1] if node.op_type == "Gemm" and not transposed else shape[0]
            worth = outputs >= FEW_OUTPUTS
        else:
            worth = node.op_type in _PASSING and all(
                name in chosen for name in node.input if name and name not in shapes
            )
        if worth:
            chosen[node.output[0]] = node.name
    return list(chosen.values())


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # untyped
    """Feeds photos to the quantiser, a batch at a time."""

    def __init__(self, trial: Trial) -> None:
        self.batches = trial.batches()

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None at the end."""
        batch = next(self.batches, None)
        return None if batch is None else {"photos": batch}


def _silence(record: logging.LogRecord) -> bool:
    return record.levelno > logging.WARNING
