"""A torch network → an ONNX graph, by torch's exporter, quietly."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence

import onnx
import torch

OPSET = 20


def traced(network: torch.nn.Module, side: int, outputs: Sequence[str] | None = None) -> onnx.ModelProto:
    """Trace a network that takes photos, uint8 (n, side, side, 3), for any n.

    Args:
        network: In the mode it is to run in.
        side: Side of the photos' squares, in pixels.
        outputs: Names of what it returns; None: those that torch makes up.

    Raises:
        torch.onnx.errors.OnnxExporterError: torch cannot.
    """
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    # The exporter reports its progress, warns of its own deprecations, and misses torchvision without need.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["photos"],
            output_names=outputs,
            dynamic_shapes=({0: torch.export.Dim("n")},),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    return program.model_proto
