"""16-bit weights: half the size, and hardly another opinion."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

HALVED_FROM = 256  # values a tensor; smaller ones are not worth a node


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights in 16 bits and cast them back in the graph; ONNX Runtime folds that away at load."""
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    del halved.graph.initializer[:], halved.graph.node[:]
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= HALVED_FROM:
            half = f"{tensor.name}.half"
            halved.graph.node.append(
                helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT)
            )
            halved.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), half))
        else:
            halved.graph.initializer.append(tensor)
    halved.graph.node.extend(model.graph.node)
    return halved
