"""A torch network → an ONNX graph as model/judge.py wants it, which tells nothing of this machine."""

from __future__ import annotations

import onnx
import torch
from onnx import helper

from model.export.refusal import ExportRefused
from model.training.tracing import traced

OUTPUTS = ("probabilities", "embedding", "heat")


def graph(network: torch.nn.Module, side: int) -> onnx.ModelProto:
    """Trace a network.

    Args:
        network: From uint8 (n, side, side, 3) to probabilities (n, K), embedding (n, D) and maybe heat
            (n, h, w); its attribute `outputs` names them.
        side: Side of the photos' squares, in pixels.

    Returns:
        A model with the input `photos`, for any n, of opset 20.

    Raises:
        ExportRefused: torch cannot turn the network into a graph.
    """
    try:
        return clean(traced(network.eval(), side, list(getattr(network, "outputs", OUTPUTS))))
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error.__cause__ or error).strip().partition("\n")[0]
        raise ExportRefused(f"torch cannot turn the network into an ONNX graph: {reason}") from error


def clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep what computes; exporters also write their versions, source lines and paths of this machine."""
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    plain = helper.make_graph(
        model.graph.node, "judge", model.graph.input, model.graph.output, model.graph.initializer
    )
    return helper.make_model(plain, ir_version=model.ir_version, opset_imports=model.opset_import)
