"""Loss and accuracy over the epochs, as JSON and as a picture, anew after each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from model.training.checkpoint import write

JSON, PNG = "curves.json", "curves.png"
Epoch = dict[str, float]
"""epoch (from 1), loss and accuracy while training, validation_loss, validation_accuracy, rate, seconds."""


def draw(history: Sequence[Epoch], folder: Path) -> None:
    """Write curves.json and curves.png."""
    write(folder / JSON, json.dumps(list(history), indent=1).encode())
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    epochs = [row["epoch"] for row in history]
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        axes.plot(epochs, [row[name] for row in history], ".-", label="training")
        axes.plot(epochs, [row[f"validation_{name}"] for row in history], ".-", label="validation")
        axes.set_xlabel("epoch")
        axes.set_title(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    picture = BytesIO()
    figure.savefig(picture, dpi=100)
    write(folder / PNG, picture.getbuffer())
