"""Who is in a drawn portrait: looks drawn by lot, for a given skin tone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]

SKIN_TONES = np.array(
    [(255, 224, 196), (241, 194, 160), (224, 172, 125), (190, 126, 82), (141, 85, 50), (92, 56, 36)],
    np.float32,
)
"""From light to dark, RGB 0-255, shape (6, 3); the steps are those of the Fitzpatrick scale, roughly."""

_HAIR = np.array(
    [
        (24, 20, 18),
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
    """What one drawn person looks like; colours are RGB 0-255, lengths are in face coordinates."""

    skin: Plane
    hair: Plane
    iris: Plane
    lips: Plane
    clothes: Plane
    weave: tuple[float, float, float]
    """Stripes or checks: how fine across, how fine down, how strong."""
    light: tuple[float, float, float]
    """Where the light comes from: right, down, towards the camera."""
    aspect: float
    """Width of the face over its height."""
    jaw: float
    turn: float
    """Of the head, -1 (left) to 1 (right)."""
    smile: float
    eye: float
    brow: float
    hairline: float
    hair_length: float
    """Where the hair ends: 0 for short hair, up to 2.6 for long; negative for none."""
    hair_width: float
    beard: float
    glasses: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, tone: int) -> Person:
        """Draw lots for everything but the skin tone, an index into `SKIN_TONES`."""
        skin = SKIN_TONES[tone] * rng.uniform(0.94, 1.05, 3).astype(np.float32)
        made_up = rng.random() < 0.4
        lips = rng.uniform((140, 30, 50), (205, 80, 95)) if made_up else skin * (0.88, 0.6, 0.6)
        long_hair = rng.random() < 0.5
        return cls(
            skin=skin,
            hair=_HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.85, 1.15),
            iris=_IRIS[rng.integers(len(_IRIS))],
            lips=lips.astype(np.float32),
            clothes=_dye(rng),
            weave=(
                float(rng.choice([0, 5, 11])),
                float(rng.choice([0, 6, 17])),
                float(rng.choice([0, 0, 0.1, 0.25])),
            ),
            light=(rng.uniform(-0.8, 0.8), rng.uniform(-0.7, 0.0), rng.uniform(0.6, 1.0)),
            aspect=rng.uniform(0.70, 0.82),
            jaw=rng.uniform(0.16, 0.34),
            turn=rng.uniform(-1, 1),
            smile=rng.uniform(-0.1, 1),
            eye=rng.uniform(0.85, 1.15),
            brow=rng.uniform(0.03, 0.05),
            hairline=rng.uniform(-0.72, -0.5),
            hair_length=rng.uniform(0.9, 2.6) if long_hair else float(rng.choice([-1.0, 0.0, 0.0, 0.0, 0.2])),
            hair_width=rng.uniform(1.18, 1.5) if long_hair else rng.uniform(1.04, 1.16),
            beard=0.0 if made_up or rng.random() < 0.6 else rng.uniform(0.2, 0.75),
            glasses=rng.random() < 0.18,
        )


def _dye(rng: np.random.Generator) -> Plane:
    colour = rng.uniform(20, 240, 3)
    dye: Plane = colour + rng.uniform(0, 0.9) * (colour.mean() - colour)
    return dye.astype(np.float32)
