"""Where a drawn person stands: rooms of shapes, pieces of photos that anyone may use, screens and pages."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from model.simulation.texture import Plane, mottled

SIDE = 288
"""Of a photo, in pixels: more than a judge sees, so that noise shrinks as it does in real photos."""

# In the public domain or CC0, and nobody is in them.
_PHOTOS = ("coffee", "chelsea", "rocket", "brick", "grass", "gravel", "coins", "clock", "hubble_deep_field")


@cache
def _photos() -> list[Plane]:
    loaded = [getattr(data, name)() for name in _PHOTOS]
    coloured = (photo if photo.ndim == 3 else np.dstack([photo] * 3) for photo in loaded)
    return [photo.astype(np.float32) for photo in coloured]


def background(rng: np.random.Generator) -> Plane:
    """From a bare wall to a crammed room, sharp or out of focus; (SIDE, SIDE, 3)."""
    canvas = piece_of_photo(rng) if rng.random() < 0.3 else _room(rng)
    # A judge must not take what is far and soft for blur, nor what is fine for noise.
    if rng.random() < 0.7:
        canvas = cv2.GaussianBlur(canvas, (0, 0), float(np.exp(rng.uniform(-0.5, 2.2))))
    for cells, levels in ((6, 8.0), (24, 5.0), (90, 3.0)):
        canvas += mottled(rng, (SIDE, SIDE), (cells, cells), rng.exponential(levels))[..., None]
    return canvas.clip(0, 255)


def piece_of_photo(rng: np.random.Generator) -> Plane:
    """A square piece of a photo without people, (SIDE, SIDE, 3), with colours of its own."""
    photo = _photos()[rng.integers(len(_PHOTOS))]
    side = int(min(photo.shape[:2]) * rng.uniform(0.4, 1))
    y, x = (rng.integers(length - side + 1) for length in photo.shape[:2])
    piece = cv2.resize(photo[y : y + side, x : x + side], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    tinted: Plane = piece * rng.uniform(0.7, 1.2, 3).astype(np.float32)
    return tinted


def _room(rng: np.random.Generator) -> Plane:
    # Most walls have hardly any colour.
    near, far = (
        colour + rng.uniform(0.2, 0.95) * (colour.mean() - colour) for colour in rng.uniform(20, 255, (2, 3))
    )
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32) / SIDE - 0.5
    share = (x * np.cos(angle) + y * np.sin(angle) + 0.5).clip(0, 1)[..., None]
    canvas = np.ascontiguousarray(near + (far - near) * share, np.float32)
    shapes = rng.integers(0, 8) if rng.random() < 0.6 else rng.integers(8, 50)
    for _ in range(shapes):
        _shape(canvas, rng)
    return canvas


def _shape(canvas: NDArray[Any], rng: np.random.Generator) -> None:
    x, y = map(int, rng.uniform(-0.1, 1, 2) * SIDE)
    width, height = map(int, SIDE * np.exp(rng.uniform(-3.5, -0.8, 2)))
    colour = tuple(0.6 * rng.uniform(0, 255, 3) + 0.4 * rng.uniform(0, 255))
    kind = rng.random()
    if kind < 0.5:
        cv2.rectangle(canvas, (x, y), (x + width, y + height), colour, -1)
    elif kind < 0.7:
        cv2.ellipse(canvas, (x, y), (width, height), float(rng.uniform(0, 180)), 0, 360, colour, -1)
    else:
        x2, y2 = map(int, rng.normal((x, y), SIDE / 3))
        cv2.line(canvas, (x, y), (x2, y2), colour, width // 5 + 1, cv2.LINE_AA)


def page(rng: np.random.Generator) -> Plane:
    """A screen or a page with lines of text, (SIDE, SIDE, 3)."""
    dark = rng.random() < 0.4
    canvas = np.full((SIDE, SIDE, 3), rng.uniform(10, 60) if dark else rng.uniform(200, 255), np.uint8)
    for _ in range(rng.integers(0, 4)):
        _shape(canvas, rng)
    size = rng.uniform(0.3, 0.9)
    y = int(40 * size)
    while y < SIDE:
        letters = rng.integers(97, 123, rng.integers(8, 40))
        text = "".join(" " if rng.random() < 0.15 else chr(letter) for letter in letters)
        ink = (230.0,) * 3 if dark else (30.0,) * 3
        cv2.putText(canvas, text, (12, y), cv2.FONT_HERSHEY_SIMPLEX, size, ink, 1, cv2.LINE_AA)
        y += int(rng.uniform(28, 50) * size) + 4
    return canvas.astype(np.float32)
