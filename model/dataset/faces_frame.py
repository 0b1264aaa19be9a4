"""A photo's bytes → the square with black bars that a face detector looks at."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model.pixels import FORMATS, Pixels, squish

Boxes = NDArray[np.float32]
"""Faces, best first: shape (n, 4), left, top, right, bottom, in a frame's pixels."""

_ORIENTATION = 0x0112
_ON_ITS_SIDE = {5, 6, 7, 8}


@dataclass(frozen=True)
class Frame:
    """A photo in the middle of a square."""

    pixels: Pixels
    """uint8, shape (side, side, 3), RGB."""
    width: int
    height: int
    """Of the photo in the square; what is beside or above it is black."""


def framed(photo: bytes, side: int) -> Frame:
    """Decode a photo, upright and in its own proportions.

    Args:
        photo: An encoded photo.
        side: Of the square, in pixels.

    Raises:
        PhotoRejected: As `squish` does, which has the last word on what is a photo.
    """
    # Squeezed first, with all the guards, and then stretched back: at twice the size nothing is lost.
    square = Image.fromarray(squish(photo, side=2 * side))
    width, height = _upright_size(photo)
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels = np.zeros((side, side, 3), np.uint8)
    left, top = (side - size[0]) // 2, (side - size[1]) // 2
    resized = square.resize(size, Image.Resampling.BOX)
    pixels[top : top + size[1], left : left + size[0]] = np.asarray(resized)
    return Frame(pixels, *size)


def distinct(boxes: Boxes, scores: NDArray[np.float32], *, overlap: float = 0.3) -> Boxes:
    """Of boxes that overlap, the best one.

    Args:
        boxes: Shape (n, 4), left, top, right, bottom.
        scores: Shape (n,).
        overlap: The intersection, over the union, from which on two boxes are one face.

    Returns:
        The boxes that are left, best first.
    """
    best: list[NDArray[np.float32]] = []
    for box in boxes[np.argsort(-scores, kind="stable")]:
        if all(_overlap(box, other) < overlap for other in best):
            best.append(box)
    return np.stack(best) if best else np.zeros((0, 4), np.float32)


def _overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    width, height = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = max(0.0, float(width)) * max(0.0, float(height))
    areas = [float(np.prod(box[2:] - box[:2])) for box in (one, other)]
    return both / (sum(areas) - both + 1e-9)


def _upright_size(photo: bytes) -> tuple[int, int]:
    with Image.open(BytesIO(photo), formats=FORMATS) as image:
        width, height = image.size
        try:
            on_its_side = image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
        # Damaged EXIF is no reason to refuse a photo; `squish` turns nothing then.
        except Exception:
            on_its_side = False
    return (height, width) if on_its_side else (width, height)
