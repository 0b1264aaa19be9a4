"""A person → a cut-out that can be pasted into any scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.simulation.face import glasses, head
from model.simulation.hair import hair_behind, hair_in_front
from model.simulation.people import Person
from model.simulation.sheet import HALF, Sheet, X, Y
from model.simulation.texture import Plane, ramp


@dataclass(frozen=True)
class Cutout:
    """A drawn person without a background; lengths are in pixels."""

    levels: Plane
    """(h, w, 4): RGB 0-255 times opacity, and opacity 0-1."""
    x: float
    y: float
    """Centre of the face."""
    face: float
    """Its height, crown to chin."""


def draw(person: Person, rng: np.random.Generator) -> Cutout:
    """Draw somebody as one photo shows them: lots decide how the head is turned and lit."""
    sheet = Sheet(person, rng)
    hair_behind(sheet)
    _body(sheet)
    head(sheet)
    hair_in_front(sheet)
    glasses(sheet)
    levels = np.dstack([sheet.colour.clip(0, 255), sheet.opacity])
    return Cutout(levels, X, Y, 2 * HALF)


def _body(s: Sheet) -> None:
    person, own = s.person, s.own
    wide = person.shoulders + 0.1 * s.v.clip(0, 3)
    slope = 1.3 + 0.12 * np.abs(s.u) + 0.5 * (np.abs(s.u) / wide) ** 6
    folds = 1 + s.mottled((9, 7), 0.1) - 0.2 * (np.abs(s.u) / wide).clip(0, 1) ** 2
    if own.random() < 0.25:
        folds *= 1 + 0.18 * np.sign(np.sin(s.v * own.uniform(8, 24)) + own.choice([0, 1]) * np.sin(11 * s.u))
    torso = ramp(s.v - slope, -0.03, 0.03) * (1 - ramp(np.abs(s.u) - wide, -0.05, 0.05))
    s.paint((person.clothes * folds[..., None]).clip(0, 255), torso)
    neck = (1 - ramp(np.abs(s.u) - 0.52 - 0.9 * (s.v - 1.15).clip(0, 1) ** 2, -0.03, 0.03)) * (s.v > 0.5)
    opening = 1 - ramp(np.abs(s.u) / own.uniform(0.8, 1.6) + s.v, 1.75, 1.8)
    shadow = s.rng.uniform(0.6, 0.78) + 0.12 * ramp(s.v, 0.95, 1.5) - 0.12 * s.u**2
    s.paint(person.skin * shadow[..., None], np.maximum(neck * (s.v < 1.4), opening * torso))
