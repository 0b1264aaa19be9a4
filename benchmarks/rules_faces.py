"""Where the faces are, for benchmarks/rules.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

# BlazeFace, short range (MediaPipe, Apache-2.0).
FILE = Path(__file__).parents[2] / "shared/prototypes/judge/blaze_short_range.onnx"
SIDE = 128
CELLS = ((16, 2), (8, 6))
"""Cells a side, and anchors in each."""
SURE = 0.5
SAME = 0.3  # overlap from which two boxes are one face

Box = tuple[float, float, float, float]


class Finder:
    """A face detector, loaded once."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(FILE, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0]
        self._anchors = np.concatenate([_grid(cells, each) for cells, each in CELLS])

    def __call__(self, photo: NDArray[np.uint8]) -> list[Box]:
        """Left, top, right, bottom of each face in a photo (h, w, 3), in pixels, the surest first."""
        longest = max(photo.shape[:2])
        margins = [(longest - length) // 2 for length in photo.shape[:2]]
        canvas = Image.new("RGB", (longest, longest))
        canvas.paste(Image.fromarray(photo), (margins[1], margins[0]))
        levels = np.asarray(canvas.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32) / 127.5 - 1
        if self._input.shape[1] == 3:
            levels = levels.transpose(2, 0, 1)
        outputs = self._session.run(None, {self._input.name: levels[None]})
        offsets = next(o for o in outputs if o.shape[-1] == 16).reshape(-1, 16)[:, :4] / SIDE
        logits = next(o for o in outputs if o.shape[-1] == 1).reshape(-1)
        corners = _corners(offsets, self._anchors) * longest - np.array(margins[::-1] * 2)
        order = [index for index in np.argsort(-logits) if logits[index] > np.log(SURE / (1 - SURE))]
        found: list[Box] = []
        for index in order:
            left, top, right, bottom = map(float, corners[index])
            if all(_overlap((left, top, right, bottom), other) < SAME for other in found):
                found.append((left, top, right, bottom))
        return found


def _grid(cells: int, each: int) -> NDArray[np.float32]:
    centres = (np.arange(cells, dtype=np.float32) + 0.5) / cells
    return np.repeat(np.stack(np.meshgrid(centres, centres), -1).reshape(-1, 2), each, axis=0)


def _corners(offsets: NDArray[np.float32], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
    centres, halves = offsets[:, :2] + anchors, offsets[:, 2:] / 2
    return np.concatenate([centres - halves, centres + halves], axis=1)


def _overlap(one: Box, other: Box) -> float:
    width = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    both = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return width * height / (both - width * height)
