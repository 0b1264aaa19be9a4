"""How a photo was taken: drawn by lot, and once more with one thing changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Subject = Literal["person", "group", "collage", "headless", "nobody"]
Filter = Literal["", "faded", "warm", "black and white"]
Border = Literal["", "white", "black", "coloured", "blurred", "edges"]
Sides = Literal["all around", "above and below", "left and right"]

THIRD = 1 / 3
THICKEST = 0.2
"""Share of the side from which on a border is more than that: the photo lies in a larger scene."""


@dataclass(frozen=True)
class Shot:
    """What a photographer decides, or fails to; lengths are shares of the photo's side."""

    subject: Subject = "person"
    people: int = 1
    face: float = THIRD
    """Height of a face, crown to chin, before a border makes it smaller."""
    across: float = 0.5
    down: float = 0.42
    """Centre of the face, or of the group, from the left and from the top."""
    tilt: float = 0.0
    """Degrees."""
    stretch: float = 1.0
    """How much wider everything looks, since a photo that is no square gets squished to one."""
    exposure: float = 0.0
    """In EV: -1 is half the light."""
    noise: float = 0.0
    """Standard deviation, in levels of 255."""
    blur: float = 0.0
    """Radius, in thousandths of the side."""
    filter: Filter = ""
    strength: float = 1.0
    """Of the filter, 0-1."""
    border: Border = ""
    sides: Sides = "all around"
    width: float = 0.0
    """Of the border, on each side that has one."""
    edit: str = ""
    """What was changed, where the shot is the twin of another."""

    @property
    def face_seen(self) -> float:
        """Height of a face in the photo as it was posted."""
        return self.face * (1 if self.sides == "left and right" else 1 - 2 * self.width)

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Shot:
        """Draw lots for a shot: each fault comes or not on its own, in any strength."""

        def fault(chance: float, mild: float, bad: float) -> float:
            return rng.uniform(mild, bad) if rng.random() < chance else 0.0

        off_centre = fault(0.15, 0.1, 0.4) or rng.uniform(0, 0.1)
        shot = cls(
            face=fault(0.1, 0.06, 0.2) or fault(0.13, 0.6, 1.3) or float(np.exp(rng.normal(-0.65, 0.28))),
            across=0.5 + off_centre * rng.choice([-1, 1]),
            down=fault(0.08, 0.6, 0.9) or fault(0.05, 0.08, 0.25) or rng.normal(0.43, 0.06),
            tilt=rng.normal(0, 8),
            stretch=float(np.exp(rng.normal(0, 0.12))),
            exposure=-fault(0.15, 0.6, 4.0) or rng.normal(0, 0.35),
            noise=fault(0.1, 8, 45) or rng.uniform(0, 5),
            blur=fault(0.1, 4, 20) or rng.uniform(0, 2),
        )
        kind = rng.random()
        if kind < 0.04:
            shot = replace(shot, subject="nobody", people=0)
        elif kind < 0.07:
            shot = replace(shot, subject="headless")
        elif kind < 0.17:
            shot = _with_others(shot, rng)
        if rng.random() < 0.25:
            shot = _filtered(shot, rng)
        return _bordered(shot, rng) if rng.random() < 0.15 else shot

    def twin(self, rng: np.random.Generator) -> Shot:
        """The same moment, with one thing changed as people, light and lenses change things."""
        edit = str(rng.choice(EDITS))
        changed = _changed(self, edit, rng)
        return replace(changed, edit=edit)


EDITS = (
    "darker",
    "noisier",
    "blurred",
    "closer",
    "farther",
    "among others",
    "among others",
    "filtered",
    "filtered",
    "bordered",
    "bordered",
    "in a larger scene",
    "in a larger scene",
    "tiny in a larger scene",
    "tiny in a larger scene",
)


def _changed(shot: Shot, edit: str, rng: np.random.Generator) -> Shot:
    """What an edit of `EDITS` does to a shot."""
    change: dict[str, Callable[[], Shot]] = {
        "darker": lambda: replace(shot, exposure=shot.exposure - rng.uniform(0.8, 3.5)),
        "noisier": lambda: replace(shot, noise=shot.noise + rng.uniform(10, 40)),
        "blurred": lambda: replace(shot, blur=shot.blur + rng.uniform(5, 18)),
        "closer": lambda: replace(
            shot, face=max(rng.uniform(0.7, 1.3), shot.face * 1.3), across=0.5, down=0.5
        ),
        "farther": lambda: replace(shot, face=min(rng.uniform(0.06, 0.18), shot.face / 1.5)),
        "among others": lambda: _with_others(shot, rng),
        "filtered": lambda: _filtered(shot, rng),
        "bordered": lambda: _bordered(shot, rng),
        "in a larger scene": lambda: _in_scene(shot, rng, rng.uniform(0.27, 0.37)),
        "tiny in a larger scene": lambda: _in_scene(shot, rng, rng.uniform(0.05, 0.14)),
    }
    return change[edit]()


def _with_others(shot: Shot, rng: np.random.Generator) -> Shot:
    people = int(rng.choice([2, 3, 4, 5, 6], p=[0.35, 0.25, 0.2, 0.1, 0.1]))
    if people <= 4 and rng.random() < 0.6:
        return replace(shot, subject="collage", people=people)
    face = min(shot.face, rng.uniform(0.5, 0.8) / np.sqrt(people))
    return replace(shot, subject="group", people=people, face=float(face), across=0.5)


def _filtered(shot: Shot, rng: np.random.Generator) -> Shot:
    kinds: tuple[Filter, ...] = ("faded", "faded", "warm", "black and white")
    return replace(shot, filter=kinds[rng.integers(4)], strength=rng.uniform(0.4, 1))


def _bordered(shot: Shot, rng: np.random.Generator) -> Shot:
    colours: tuple[Border, ...] = ("white", "white", "white", "black", "coloured", "blurred")
    sides: tuple[Sides, ...] = ("all around", "all around", "above and below", "left and right")
    width = rng.uniform(0.03, 0.15)
    return replace(shot, border=colours[rng.integers(6)], sides=sides[rng.integers(4)], width=width)


def _in_scene(shot: Shot, rng: np.random.Generator, face: float) -> Shot:
    """The whole photo before what apps fill a frame with, so that the face is as small as that."""
    width = float(np.clip((1 - face / shot.face) / 2, 0.02, 0.44))
    kinds: tuple[Border, ...] = ("white", "black", "coloured", "blurred", "blurred", "edges", "edges")
    return replace(shot, border=kinds[rng.integers(7)], sides="all around", width=width)
