"""A shot and the people in it → what stands before the lens."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from model.simulation.backgrounds import SIDE, background, page, piece_of_photo
from model.simulation.drawing import Cutout
from model.simulation.shots import Shot
from model.simulation.texture import Plane

_LAYOUTS = {2: (2, 1), 3: (3, 1), 4: (2, 2)}  # columns and rows of a collage
_STRIPS = 0.3  # how many collages of four or two have them side by side, or one below the other


def scene(shot: Shot, people: Sequence[Cutout], rng: np.random.Generator) -> Plane:
    """Set up a scene.

    Args:
        shot: Who stands where.
        people: Whom to take from: the photographer first, then friends, `shot.people` or more.
        rng: Draws the lots for the place, and for how people stand beside one another.

    Returns:
        RGB levels 0-255, (SIDE, SIDE, 3), well lit and sharp.
    """
    if shot.subject == "nobody":
        return _without_people(rng)
    canvas = background(rng)
    if shot.subject == "collage":
        return _collage(shot, people, rng)
    if shot.subject == "headless":
        return _paste(canvas, people[0], (shot.across, -0.55 * shot.face, shot.face), shot)
    if shot.subject == "person":
        return _paste(canvas, people[0], (shot.across, shot.down, shot.face), shot)
    spread = (np.arange(shot.people) - (shot.people - 1) / 2) * min(0.3, 0.8 / shot.people)
    for number in rng.permutation(shot.people):
        place = shot.across + spread[number] + rng.normal(0, 0.02), shot.down + rng.normal(0, 0.06)
        canvas = _paste(canvas, people[number], (*place, shot.face * rng.uniform(0.85, 1.15)), shot)
    return canvas


def _without_people(rng: np.random.Generator) -> Plane:
    kind = rng.random()
    if kind < 0.4:
        return piece_of_photo(rng)
    return page(rng) if kind < 0.7 else background(rng)


def _paste(canvas: Plane, person: Cutout, place: tuple[float, float, float], shot: Shot) -> Plane:
    """Put a person on a canvas; place is the face's centre across and down, and its height."""
    side = canvas.shape[0]
    across, down, face = place
    levels, scale = person.levels, face * side / person.face
    x, y = person.x, person.y
    if scale < 0.6:
        smaller = max(scale, 0.05)
        levels = cv2.resize(levels, None, fx=smaller, fy=smaller, interpolation=cv2.INTER_AREA)
        x, y, scale = x * smaller, y * smaller, scale / smaller
    # The body goes on below the cut-out.
    levels = cv2.copyMakeBorder(levels, 0, int(1.2 * levels.shape[0]), 0, 0, cv2.BORDER_REPLICATE)
    turn = cv2.getRotationMatrix2D((x, y), shot.tilt, scale)
    turn[0] *= shot.stretch
    turn[:, 2] += np.array([across * side, down * side]) - turn @ np.array([x, y, 1])
    layer = cv2.warpAffine(levels, turn, (canvas.shape[1], side), flags=cv2.INTER_LINEAR)
    pasted: Plane = canvas * (1 - layer[..., 3:]) + layer[..., :3]
    return pasted


def _collage(shot: Shot, people: Sequence[Cutout], rng: np.random.Generator) -> Plane:
    """Portraits side by side, each before a background of its own."""
    columns, rows = _LAYOUTS[shot.people]
    if shot.people != 3 and rng.random() < _STRIPS:
        columns, rows = (shot.people, 1) if rng.random() < 0.7 else (1, shot.people)
    canvas = np.zeros((SIDE, SIDE, 3), np.float32)
    face = float(np.clip(shot.face, 0.25, 0.7))
    wide, high = SIDE // columns, SIDE // rows
    for number in range(shot.people):
        place = rng.normal(0.5, 0.03), rng.normal(0.45, 0.05), face * rng.uniform(0.85, 1.15)
        portrait = _paste(background(rng), people[number], place, shot)
        # Cut to the tile's shape rather than squished, mostly.
        cut_wide, cut_high = (SIDE * min(wide / high, 1), SIDE * min(high / wide, 1))
        left, top = int((SIDE - cut_wide) / 2), int((SIDE - cut_high) / 3)
        tile = portrait[top : top + int(cut_high), left : left + int(cut_wide)]
        row, column = divmod(number, columns)
        spot = np.s_[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
        canvas[spot] = cv2.resize(tile, (wide, high), interpolation=cv2.INTER_AREA)
    return canvas
