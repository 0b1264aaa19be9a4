"""What a judge's file says about itself, and what is found in it, for people and as JSON."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from model.judge import Judge

WIDEST = 100  # columns
LABEL_WIDTH = 14


def inspect(file: Path) -> dict[str, Any]:
    """Load a judge's file.

    Returns:
        `file`, `bytes`, `opset`, `inputs` and `outputs` (name, type and shape of each), and `card`.

    Raises:
        JudgeRefused: The file is no judge.
    """
    judge = Judge(file)
    model = onnx.load(file, load_external_data=False)
    return {
        "file": str(file),
        "bytes": file.stat().st_size,
        "opset": max(one.version for one in model.opset_import if one.domain in ("", "ai.onnx")),
        "inputs": [_tensor(one) for one in model.graph.input],
        "outputs": [_tensor(one) for one in model.graph.output],
        "card": judge.card.model_dump(mode="json"),
    }


def as_json(found: dict[str, Any]) -> str:
    """One JSON object."""
    return json.dumps(found, ensure_ascii=False)


def as_text(found: dict[str, Any]) -> str:
    """Lines that fit the terminal."""
    width = min(WIDEST, shutil.get_terminal_size().columns)
    hang = " " * LABEL_WIDTH
    card = found["card"]
    lines = [f"{card['name']} {card['version']}", *textwrap.wrap(card["description"], width), ""]
    for title, words in _entries(found):
        if words:
            lines += textwrap.wrap(
                f"{title:{LABEL_WIDTH}}{words}", width, subsequent_indent=hang, break_long_words=False
            )
    return "\n".join(lines)


def _entries(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    card = found["card"]
    precision = f", {card['precision']}" if card["precision"] else ""
    yield "file", f"{found['file']}, {found['bytes'] / 1e6:.1f} MB, opset {found['opset']}{precision}"
    yield "labels", ", ".join(f"{label['name']} ({label['value']:g})" for label in card["labels"])
    yield "input", "; ".join(map(_worded, found["inputs"]))
    yield "output", "; ".join(map(_worded, found["outputs"]))
    yield "members", ", ".join(card["members"])
    yield "caution", card["caution"]
    yield "training", card["training"]
    yield "dataset", card["dataset"]
    yield "metrics", ", ".join(f"{name} {value:g}" for name, value in card["metrics"].items())
    if reference := card["reference"]:
        middle = reference[len(reference) // 2]
        scores = f"scores from {reference[0]:.2f} to {reference[-1]:.2f}, half of them above {middle:.2f}"
        yield "reference", f"{card['reference_name']}: {scores}"
    yield "temperature", f"{card['temperature']:g}" if card["temperature"] else ""
    yield "parity", _parity(card["parity"])
    yield "licence", card["licence"]


def _parity(parity: dict[str, Any] | None) -> str:
    if parity is None:
        return ""
    words = f"probabilities within {parity['gap']:.1g} of what it was made of"
    if parity["photos"]:
        words += f", the same verdict on {parity['same_verdicts']:.2%} of {parity['photos']:,} photos"
    if parity["auc_gap"] is not None:
        words += f", AUC within {parity['auc_gap']:.4f}"
    return f"{words}; {len(parity['samples'])} samples to check it by"


def _tensor(value: onnx.ValueInfoProto) -> dict[str, Any]:
    kind = value.type.tensor_type
    shape = [one.dim_param or (one.dim_value if one.HasField("dim_value") else "?") for one in kind.shape.dim]
    return {"name": value.name, "type": TensorProto.DataType.Name(kind.elem_type).lower(), "shape": shape}


def _worded(tensor: dict[str, Any]) -> str:
    return f"{tensor['name']} {tensor['type']} ({', '.join(map(str, tensor['shape']))})"
