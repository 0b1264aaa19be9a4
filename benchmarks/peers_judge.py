"""What each peer is given: the judge, a way to decode, ONNX Runtime's settings. Runs in a peer's room.

The settings are those that suit a server with a process or a thread a core: one thread a call, no spinning,
all optimisations of the graph (ONNX Runtime's default).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import numpy as np
import onnxruntime as ort
from PIL import Image

from model.pixels import squish

Decode = Callable[[bytes], Any]

SIDE = int(os.environ["PEER_SIDE"])
CORES = len(os.sched_getaffinity(0))
"""Workers of each peer."""
BATCH = int(os.environ["PEER_BATCH"])
"""Photos in one call at the most."""
BATCH_SECONDS = 0.005
"""How long a peer may wait for a batch to fill."""


def settings() -> tuple[str, int, Decode]:
    """The judge's file, the port to serve at, and the way to decode, from the environment."""
    return os.environ["PEER_JUDGE"], int(os.environ["PEER_PORT"]), decoder(os.environ["PEER_DECODER"])


def decoder(name: str) -> Decode:
    """A way to make a square of a photo: "own", our worker's, or "docs", as documentation shows it."""
    if name == "own":
        return lambda photo: squish(photo, side=SIDE)
    return lambda photo: resized(Image.open(BytesIO(photo)))


def resized(image: Image.Image) -> Any:
    """Convert and resize an opened photo into a square; every pixel is decoded."""
    return np.asarray(image.convert("RGB").resize((SIDE, SIDE)))


class Judge:
    """One session."""

    def __init__(self, file: str) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def __call__(self, squares: Sequence[Any]) -> list[float]:
        """Each photo's probability of the last label."""
        [found] = self._session.run(["probabilities"], {"photos": np.stack(squares)})
        return [float(row[-1]) for row in found]
