"""Drawn people: every stroke is a formula over the photo's pixels, so that any size and tilt is sharp.

Face coordinates: u runs from -1 (left edge of the face) to 1 (right), v from -1 (crown) to 1 (chin) and
on down the body.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from model.training.people import Person, Plane


@dataclass(frozen=True)
class Place:
    """Where a face is in the photo; lengths are shares of the photo's side."""

    across: float
    down: float
    """Its centre, from the left and from the top."""
    height: float
    tilt: float = 0.0
    """Degrees."""


def draw_person(canvas: Plane, person: Person, place: Place) -> None:
    """Draw one person over the canvas, in place: RGB 0-255, float32, shape (side, side, 3)."""
    whole, head = _Sketch(canvas, person, place), _Sketch(canvas, person, place, reach=1.35)
    _draw_hair_behind(whole)
    _draw_body(whole)
    _draw_head(head)
    _draw_mouth_and_nose(head)
    for side in (-1, 1):
        _draw_eye(head, side)
    _draw_hair_in_front(whole)


class _Sketch:
    """A canvas with face coordinates laid over it, or over the part of it within `reach` face radii."""

    def __init__(self, canvas: Plane, person: Person, place: Place, reach: float = np.inf) -> None:
        side = canvas.shape[0]
        centres = (np.arange(side, dtype=np.float32) + 0.5) / side
        half = reach * place.height / 2
        rows, columns = (
            slice(*np.searchsorted(centres, (centre - half, centre + half)))
            for centre in (place.down, place.across)
        )
        self.canvas, self.person = canvas[rows, columns], person
        y, x = np.meshgrid(centres[rows] - place.down, centres[columns] - place.across, indexing="ij")
        cosine, sine = math.cos(math.radians(place.tilt)), math.sin(math.radians(place.tilt))
        self.v: Plane = (y * cosine - x * sine) * (2 / place.height)
        self.u: Plane = (x * cosine + y * sine) * (2 / place.height / person.aspect)
        self.pixel = 2 / place.height / side
        narrow = 1 - person.jaw * self.v.clip(0, 1) ** 2
        self.radius: Plane = (self.u / narrow) ** 2 + self.v**2
        self.depth: Plane = np.sqrt((1 - self.radius).clip(0, 1))
        # Eyes, nose and mouth slide over the round head as it turns.
        self.f: Plane = self.u - 0.16 * person.turn * self.depth

    def paint(self, colour: Plane, mask: Plane) -> None:
        self.canvas += (colour - self.canvas) * mask[..., None]

    def shade(self, mask: Plane, strength: float) -> None:
        self.canvas *= 1 - strength * mask[..., None]

    def inside(self, distance: Plane, softness: float = 0.0) -> Plane:
        """1 where `distance` (in face heights) is negative, 0 where positive, anti-aliased."""
        mask: Plane = (0.5 - distance / (2 * max(self.pixel, softness))).clip(0, 1)
        return mask

    def oval(self, x: Plane, y: Plane, size: tuple[float, float], softness: float = 0.0) -> Plane:
        reach = np.sqrt((x / size[0]) ** 2 + (y / size[1]) ** 2) - 1
        return self.inside(reach * min(size), softness)


def _glow(x: Plane, y: Plane, size: tuple[float, float]) -> Plane:
    glow: Plane = (1 - (x / size[0]) ** 2 - (y / size[1]) ** 2).clip(0, 1) ** 2
    return glow


def _strands(s: _Sketch) -> Plane:
    wave = s.u + 0.06 * np.sin(3.1 * s.v)
    shine = 0.3 * _glow(s.u, s.v + 0.95, (1.4, 0.35))
    strands: Plane = 0.9 + 0.07 * np.sin(31 * wave) + 0.06 * np.sin(53 * wave + s.v) + shine
    return s.person.hair * strands[..., None]


def _crown(s: _Sketch) -> Plane:
    width = s.person.hair_width
    return s.oval(s.u, s.v + 0.06, (width, 1.03 + 0.5 * (width - 1)))


def _draw_hair_behind(s: _Sketch) -> None:
    length, width = s.person.hair_length, s.person.hair_width
    if length < 0:
        return
    cap = _crown(s)
    if length < 0.5:
        behind = cap * s.inside(s.v - length, 0.12)
    else:
        fall = s.inside(np.abs(s.u) - width * (1 + 0.08 * s.v.clip(0, 2)), 0.03)
        behind = np.maximum(cap, fall * s.inside(s.v - length, 0.1) * s.inside(-s.v))
    s.paint(_strands(s) * 0.7, behind)


def _draw_body(s: _Sketch) -> None:
    person = s.person
    neck = s.inside(np.abs(s.u) - 0.56 - 0.8 * (s.v - 1.15).clip(0, 1) ** 2) * s.inside(0.6 - s.v)
    slope = 1.42 + 0.10 * np.abs(s.u) + 0.8 * (np.abs(s.u) / 2.4).clip(0, 1.2) ** 6
    shoulders = s.inside(slope - s.v, 0.02) * s.inside(np.abs(s.u) - 2.45 - 0.05 * s.v.clip(0, 6), 0.02)
    folds = 1 - 0.12 * np.abs(s.u).clip(0, 2.6) / 2.6 + 0.04 * np.sin(4 * s.u + 2 * s.v)
    across, down, depth = person.weave
    folds += depth * np.sign(np.sin(across * s.u) + np.sin(down * s.v))
    s.paint(person.clothes * folds[..., None], shoulders)
    neckline = s.inside(np.abs(s.u) - 0.95 * (2.0 - s.v)) * s.inside(1.2 - s.v)
    shadow = 0.86 - 0.3 * _glow(s.u, s.v - 1.0, (0.9, 0.5))
    s.paint(person.skin * shadow[..., None], np.maximum(neck * s.inside(s.v - 1.5), neckline * shoulders))


def _draw_head(s: _Sketch) -> None:
    person = s.person
    if person.hair_length < 0.5:
        for side in (-1, 1):
            s.paint(person.skin * 0.78, s.oval(side * s.u - 1.0, s.v - 0.02, (0.13, 0.22)))
    right, below, front = person.light
    lit = (s.u * right + s.v * below + s.depth * front) / math.hypot(right, below, front)
    tone = 0.58 + 0.40 * lit.clip(0, 1) - 0.10 * s.radius.clip(0, 1) ** 3
    mottle = 0.015 * np.sin(9 * s.u + 4 * s.v) + 0.012 * np.sin(17 * s.v - 6 * s.u)
    face = person.skin * (tone + mottle)[..., None]
    blush = 0.14 * (_glow(s.f - 0.5, s.v - 0.28, (0.4, 0.32)) + _glow(s.f + 0.5, s.v - 0.28, (0.4, 0.32)))
    face *= 1 - blush[..., None] * np.array([0.0, 0.9, 0.8], np.float32)
    shine = 26 * _glow(s.f - 0.2 * right, s.v + 0.5, (0.5, 0.3)) + 22 * _glow(s.f, s.v - 0.1, (0.09, 0.35))
    s.paint(face + shine[..., None], s.inside(np.sqrt(s.radius) - 1))
    if person.beard:
        edge = 0.42 - 0.5 * s.f**2
        stubble = s.inside(edge - s.v, 0.12) * s.inside(np.sqrt(s.radius) - 1)
        s.paint(person.hair, stubble * person.beard)


def _draw_mouth_and_nose(s: _Sketch) -> None:
    nose = 0.26
    s.shade(_glow(s.f - 0.1, s.v - nose + 0.05, (0.14, 0.28)), 0.12)
    s.shade(_glow(s.f, s.v - nose - 0.09, (0.22, 0.07)), 0.35)
    for side in (-1, 1):
        s.shade(s.oval(side * s.f - 0.075, s.v - nose - 0.04, (0.045, 0.022), 0.02), 0.6)
    width, smile = 0.27 + 0.06 * s.person.smile, s.person.smile
    across = (s.f / width).clip(-1, 1)
    middle = 0.58 - 0.09 * smile * across**2
    full = np.sqrt(1 - across**2) * 0.085
    lips = s.inside(np.abs(s.v - middle) - full, 0.012) * (np.abs(s.f) < width)
    s.paint(s.person.lips, lips * 0.9)
    gap = full * (0.55 * max(0.0, smile - 0.3) + 0.02)
    opening = s.inside(np.abs(s.v - middle + 0.005) - gap) * (np.abs(s.f) < 0.85 * width)
    s.paint(np.array([238, 232, 222] if smile > 0.45 else s.person.lips * 0.45, np.float32), opening)
    s.shade(_glow(s.f, s.v - 0.74, (0.24, 0.06)), 0.14)


def _draw_eye(s: _Sketch, side: int) -> None:
    person = s.person
    x, y = side * s.f - 0.38, s.v + 0.07
    s.shade(_glow(x, y + 0.02, (0.28, 0.17)), 0.16)
    size = (0.165 * person.eye, 0.08 * person.eye)
    white = s.oval(x, y, size)
    s.paint(np.array([236, 233, 230], np.float32), white)
    s.paint(person.iris, s.oval(x, y + 0.01, (0.085, 0.066)) * white)
    s.paint(np.full(3, 12, np.float32), s.oval(x, y + 0.01, (0.042, 0.033)) * white)
    glint = s.oval(side * x - 0.03, y + 0.03, (0.018, 0.014))
    s.paint(np.full(3, 250, np.float32), glint * white)
    rim = np.abs(np.sqrt((x / size[0]) ** 2 + (y / size[1]) ** 2) - 1) * size[1] - 0.014
    s.paint(person.hair * 0.35, s.inside(rim) * (y < 0.01))
    arch = y + 0.2 - 0.5 * (x + 0.03) ** 2
    brow = s.inside(np.abs(arch) - person.brow, 0.015) * s.inside(np.abs(x) - 0.2, 0.04)
    s.paint(person.hair * 0.7, brow * 0.85)
    if person.glasses:
        lens = np.sqrt((x / 0.3) ** 4 + (y / 0.2) ** 4) - 1
        frame = s.inside(np.abs(lens) * 0.1 - 0.018)
        bridge = s.inside(np.abs(y + 0.02) - 0.015) * (np.abs(s.f) < 0.1)
        s.paint(np.full(3, 32, np.float32), np.maximum(frame, bridge))


def _draw_hair_in_front(s: _Sketch) -> None:
    length, width = s.person.hair_length, s.person.hair_width
    if length < 0:
        return
    line = s.person.hairline + 0.9 * np.abs(s.f) ** 3 - 0.06 * np.cos(4 * s.f)
    crown = _crown(s)
    hair = _strands(s)
    temple = 0.35 if length >= 0.5 else 0.0
    s.paint(hair, crown * s.inside(s.v - line, 0.04) * s.inside(s.v - temple, 0.15))
    if length >= 0.5:
        outer = np.abs(s.u) - width * (1 + 0.08 * s.v.clip(0, 2))
        locks = s.inside(0.9 - np.abs(s.u), 0.05) * s.inside(outer, 0.03)
        s.paint(hair, locks * s.inside(s.v - length, 0.15) * s.inside(-s.v - 0.3, 0.2))
