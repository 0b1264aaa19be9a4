"""A torch network → one .onnx file that keeps the contract of model/judge.py: half-size weights, card inside.

ExportRefused: the file would not do what the network does; nothing was written.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from model.card import METADATA_KEY, Card
from model.judge import Judge, JudgeRefused
from model.pixels import Pixels

OUTPUTS = ("probabilities", "embedding", "heat")
PARITY_LIMIT = 0.01  # of a probability; what 16-bit weights cost is well below
HALVED_FROM = 256  # values a tensor; smaller ones are not worth a node


class ExportRefused(Exception):
    """The exported file does not do what the network does, with by how much in one sentence."""


def export(network: torch.nn.Module, card: Card, file: Path, *, trial: Pixels) -> Judge:
    """Write a network as a judge's file, whole or not at all, and load it.

    Args:
        network: From uint8 (n, S, S, 3) to probabilities (n, K), embedding (n, D) and heat (n, h, w).
        card: What the file says about itself; S is its `input_size`.
        file: Where to; an older file of that name is replaced in one step.
        trial: Photos, (n, S, S, 3), n ≥ 2, on which network and file must agree.

    Returns:
        The judge that the file holds.

    Raises:
        ExportRefused: The file breaks the contract, or its probabilities differ from the network's.
    """
    model = _halve(_clean(_graph(network, card.input_size)))
    helper.set_model_props(model, {METADATA_KEY: card.model_dump_json()})
    onnx.checker.check_model(model)
    unchecked = file.with_name(f".{file.name}.unchecked")
    try:
        unchecked.write_bytes(model.SerializeToString())
        judge = Judge(unchecked)
        _check_parity(network, judge, trial)
        unchecked.replace(file)
    except JudgeRefused as error:
        raise ExportRefused(f"the export is no judge, nothing was written: {error}") from error
    finally:
        unchecked.unlink(missing_ok=True)
    return judge


def _graph(network: torch.nn.Module, side: int) -> onnx.ModelProto:
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    # The exporter reports its progress, warns of its own deprecations, and misses torchvision without need.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (example,),
            input_names=["photos"],
            output_names=list(OUTPUTS),
            dynamic_shapes=({0: torch.export.Dim("n")},),
            dynamo=True,
            verbose=False,
        )
    return program.model_proto


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Keep what computes; the exporter also writes its version, source lines and paths of this machine."""
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    graph = helper.make_graph(
        model.graph.node, "judge", model.graph.input, model.graph.output, model.graph.initializer
    )
    return helper.make_model(graph, ir_version=model.ir_version, opset_imports=model.opset_import)


def _halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store weights in 16 bits and cast them back in the graph; ONNX Runtime folds that away at load."""
    weights = list(model.graph.initializer)
    del model.graph.initializer[:]
    casts = []
    for tensor in weights:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= HALVED_FROM:
            half = f"{tensor.name}.half"
            casts.append(helper.make_node("Cast", [half], [tensor.name], to=onnx.TensorProto.FLOAT))
            model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), half))
        else:
            model.graph.initializer.append(tensor)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _check_parity(network: torch.nn.Module, judge: Judge, trial: Pixels) -> None:
    with torch.no_grad():
        expected = network(torch.from_numpy(trial))[0].numpy()
    gap = float(np.abs(judge(trial).probabilities - expected).max())
    if not gap <= PARITY_LIMIT:
        raise ExportRefused(
            f"the file's probabilities differ from the network's by {gap:.3g}, limit is {PARITY_LIMIT}; "
            "nothing was written, export with another version of torch or onnxscript"
        )
