"""Who is in a drawn portrait: looks drawn by lot, for a given skin tone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from model.simulation.texture import Plane

SKIN_TONES = np.array(
    [(255, 224, 196), (241, 194, 160), (224, 172, 125), (190, 126, 82), (141, 85, 50), (92, 56, 36)],
    np.float32,
)
"""From light to dark, RGB 0-255, shape (6, 3); the steps are those of the Fitzpatrick scale, roughly."""

HairStyle = Literal["none", "short", "long", "curly", "scarf"]
_STYLES: tuple[HairStyle, ...] = ("none", "short", "long", "curly", "scarf")
_SHARES = (0.07, 0.38, 0.35, 0.15, 0.05)

_HAIR = np.array(
    [
        (20, 16, 14),
        (45, 30, 22),
        (88, 56, 34),
        (140, 98, 56),
        (205, 170, 110),
        (120, 48, 28),
        (150, 150, 150),
    ],
    np.float32,
)
_IRIS = np.array([(70, 45, 25), (50, 32, 20), (80, 110, 130), (90, 120, 80)], np.float32)


@dataclass(frozen=True)
class Person:
    """What one drawn person looks like; colours are RGB 0-255, lengths in half heads from the nose's root."""

    seed: int
    """Draws the rest: strands, folds, freckles."""
    skin: Plane
    hair: Plane
    iris: Plane
    lips: Plane
    clothes: Plane
    style: HairStyle
    hair_length: float
    hair_width: float
    hairline: float
    fringe: bool
    aspect: float
    """Width of the head over its height."""
    jaw: float
    eyes: float
    brows: float
    smile: float
    mouth: float
    beard: float
    glasses: Literal["", "clear", "dark"]
    shoulders: float

    @property
    def long_hair(self) -> bool:
        """Whether it falls beside the face."""
        return self.style in ("long", "scarf") or (self.style == "curly" and self.hair_length > 0.8)

    @classmethod
    def draw(cls, rng: np.random.Generator, tone: int) -> Person:
        """Draw lots for everything but the skin tone, an index into `SKIN_TONES`.

        No look is more likely with another: beards come with long hair, and red lips with short hair.
        """
        skin = SKIN_TONES[tone] * rng.uniform(0.94, 1.05, 3)
        style = _STYLES[rng.choice(len(_STYLES), p=_SHARES)]
        hair = (
            rng.uniform(30, 230, 3) if style == "scarf" else _HAIR[rng.integers(7)] * rng.uniform(0.85, 1.15)
        )
        made_up = rng.random() < 0.4
        lips = rng.uniform((140, 30, 50), (210, 90, 100)) if made_up else skin * (0.93, 0.62, 0.62)
        short = style in ("none", "short")
        return cls(
            seed=int(rng.integers(1 << 32)),
            skin=skin.astype(np.float32),
            hair=hair.astype(np.float32),
            iris=_IRIS[rng.integers(len(_IRIS))],
            lips=lips.astype(np.float32),
            clothes=_dye(rng),
            style=style,
            hair_length=0.0 if short else rng.uniform(0.5 if style == "curly" else 1.2, 2.4),
            hair_width=rng.uniform(1.0, 1.14) if short else rng.uniform(1.1, 1.5),
            hairline=rng.uniform(-0.74, -0.5),
            fringe=rng.random() < 0.2,
            aspect=rng.uniform(0.68, 0.80),
            jaw=rng.uniform(0.18, 0.42),
            eyes=rng.uniform(0.85, 1.2),
            brows=rng.uniform(0.028, 0.048),
            smile=rng.uniform(-0.1, 1),
            mouth=rng.uniform(0.26, 0.36),
            beard=rng.uniform(0.2, 0.8) if rng.random() < 0.3 else 0.0,
            glasses=("", "", "", "", "clear", "dark")[rng.integers(6)],
            shoulders=rng.uniform(1.7, 2.5),
        )


def _dye(rng: np.random.Generator) -> Plane:
    colour = rng.uniform(15, 245, 3)
    dye: Plane = (colour + rng.uniform(0, 0.95) * (colour.mean() - colour)).astype(np.float32)
    return dye
