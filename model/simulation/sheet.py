"""What a person is drawn on: head coordinates over a cut-out that is empty at first.

u runs from -1 (left edge of the face) to 1 (right), v from -1 (crown) to 1 (chin) and on down the body; f is
u as the turned head shows it. (h, w) is the cut-out's size.
"""

from __future__ import annotations

import numpy as np

from model.simulation.people import Person
from model.simulation.texture import Plane, mottled

WIDTH, HEIGHT = 320, 384
X, Y, HALF = WIDTH / 2, 150.0, 88.0
"""Centre of the face, and half its height, in pixels."""


class Sheet:
    """What has been drawn so far, and head coordinates over it."""

    def __init__(self, person: Person, rng: np.random.Generator) -> None:
        self.person, self.rng = person, rng
        self.own = np.random.default_rng(person.seed)  # what is the same in each photo of the person
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        self.u: Plane = (x - X) / (HALF * person.aspect)
        self.v: Plane = (y - Y) / HALF
        width = 1 - person.jaw * self.v.clip(0, 1) ** 1.8
        self.radius: Plane = (self.u / width) ** 2 + self.v**2
        self.depth: Plane = np.sqrt((1 - self.radius).clip(0, 1))
        self.f: Plane = self.u - rng.uniform(-0.35, 0.35) * 0.55 * self.depth
        self.colour = np.zeros((HEIGHT, WIDTH, 3), np.float32)
        self.opacity = np.zeros((HEIGHT, WIDTH), np.float32)

    def paint(self, colour: Plane, mask: Plane) -> None:
        """Colour (3,) or (h, w, 3), mask (h, w) from 0 to 1."""
        self.colour += (colour - self.colour) * mask[..., None]
        self.opacity += (1 - self.opacity) * mask

    def glow(self, u: float, v: float, size: tuple[float, float]) -> Plane:
        """A soft spot on the face."""
        spot: Plane = np.exp(-(((self.f - u) / size[0]) ** 2) - ((self.v - v) / size[1]) ** 2)
        return spot

    def mottled(self, cells: tuple[int, int], strength: float) -> Plane:
        """Noise (h, w) that is the same in each photo of the person."""
        return mottled(self.own, (HEIGHT, WIDTH), cells, strength)
