"""Drawn portraits of known composition, with a rule that says which of them are good.

The rule follows what the first @deepselfie learned from two million selfies (A. Karpathy, 2015): a face
a third of the frame, in the middle or above it → good; dark, noisy, blurred, the head too large, tiny,
a group, no face → bad; a fading filter, black and white, a border → no worse.

Nothing in the rule sees a person. Each composition is photographed with people of every skin tone, so that
light skin and dark skin are equally often good at every exposure.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from model.training.faces import Place, draw_person
from model.training.people import SKIN_TONES, Person, Plane

SIDE = 336
"""Of a rendered photo, in pixels: more than a judge sees, so that noise shrinks as it does in real photos."""
GOOD_FROM = 0.5

Filter = Literal["none", "faded", "black and white"]
FILTERS: tuple[Filter, ...] = ("none", "faded", "black and white")


@dataclass(frozen=True)
class Composition:
    """How a portrait was taken; lengths are shares of the photo's side."""

    faces: int = 1
    headless: bool = False
    """Without a face: whether someone stands there, cut off at the neck."""
    face: float = 1 / 3
    """Height of a face, crown to chin."""
    across: float = 0.5
    down: float = 0.42
    """Centre of the face, or of the group, from the left and from the top."""
    tilt: float = 0.0
    """Degrees."""
    exposure: float = 0.0
    """In EV: -1 is half the light."""
    noise: float = 0.0
    """Standard deviation, in grey levels of 255."""
    blur: float = 0.0
    """Radius of the blur, in thousandths of the side."""
    filter: Filter = "none"
    border: float = 0.0


@dataclass(frozen=True)
class Portrait:
    """A rendered photo, and what is known of it."""

    photo: bytes
    """JPEG."""
    composition: Composition
    tone: int
    """Index into `SKIN_TONES`."""

    @property
    def good(self) -> bool:
        """Whether the rule calls it good."""
        return appeal(self.composition) >= GOOD_FROM


def appeal(composition: Composition) -> float:
    """Rate a composition by the rule: 1 without a fault, less for each, never under 0; good from 0.5 on."""
    c = composition
    if c.faces == 0:
        return 0.0
    faults = (
        1.0 * (c.faces > 1),
        1.0 * _ramp(c.face, 0.50, 0.90),
        1.0 * _ramp(-c.face, -0.22, -0.08),
        0.8 * _ramp(abs(c.across - 0.5), 0.10, 0.35),
        0.8 * _ramp(c.down, 0.50, 0.80),
        0.4 * _ramp(-c.down, -0.25, -0.10),
        1.0 * _ramp(-c.exposure, 0.4, 2.4),
        0.9 * _ramp(c.noise, 6, 36),
        0.9 * _ramp(c.blur, 2, 12),
    )
    return max(0.0, 1.0 - sum(faults))


def _ramp(amount: float, harmless: float, ruinous: float) -> float:
    return min(1.0, max(0.0, (amount - harmless) / (ruinous - harmless)))


def draw_composition(rng: np.random.Generator) -> Composition:
    """Draw lots for a composition: each fault comes or not on its own, in any strength; half are good."""

    def fault(chance: float, mild: float, bad: float) -> float | None:
        return rng.uniform(mild, bad) if rng.random() < chance else None

    faces = int(rng.choice([0, 1, 2, 3, 4], p=[0.07, 0.83, 0.04, 0.03, 0.03]))
    face = fault(0.10, 0.5, 1.2) or fault(0.07, 0.07, 0.22) or rng.uniform(0.22, 0.5)
    off_centre = fault(0.08, 0.10, 0.4) or rng.uniform(0, 0.1)
    return Composition(
        faces=faces,
        headless=faces == 0 and rng.random() < 0.5,
        face=min(face, 0.62 / faces) if faces > 1 else face,
        across=0.5 + off_centre * (1 if rng.random() < 0.5 else -1),
        down=fault(0.06, 0.5, 0.85) or fault(0.04, 0.05, 0.25) or rng.uniform(0.28, 0.5),
        tilt=rng.normal(0, 8),
        exposure=-(fault(0.18, 0.4, 4.0) or rng.uniform(-0.5, 0.4)),
        noise=fault(0.12, 6, 45) or rng.uniform(0, 6),
        blur=fault(0.12, 2, 16) or rng.uniform(0, 2),
        filter=FILTERS[rng.choice(3, p=[0.6, 0.25, 0.15])],
        border=fault(0.2, 0.03, 0.12) or 0.0,
    )


def draw_portrait(index: int, seed: int) -> Portrait:
    """Render portrait number `index` of the series that `seed` names; always the same bytes for the same two.

    Each run of six portraits shares one composition, and goes through the skin tones from light to dark.
    """
    take, tone = divmod(index, len(SKIN_TONES))
    composition = draw_composition(np.random.default_rng((seed, take)))
    rng = np.random.default_rng((seed, take, tone + 1))
    file = BytesIO()
    Image.fromarray(render(composition, tone, rng)).save(file, "JPEG", quality=int(rng.integers(60, 95)))
    return Portrait(file.getvalue(), composition, tone)


def render(composition: Composition, tone: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photograph someone of a skin tone, before a background drawn by lot.

    Args:
        composition: How the photo is taken.
        tone: Index into `SKIN_TONES`.
        rng: Draws the lots for all that is not in the composition: who, where, which clothes.

    Returns:
        RGB values 0-255, uint8, shape (SIDE, SIDE, 3).
    """
    canvas = _background(rng)
    for place in _places(composition, rng):
        draw_person(canvas, Person.draw(rng, tone), place)
    return _frame(_develop(_expose(canvas, composition, rng), composition), composition, rng)


def _places(composition: Composition, rng: np.random.Generator) -> list[Place]:
    c = composition
    if c.headless:
        return [Place(c.across, -0.55 * c.face, c.face, c.tilt)]
    if c.faces == 1:
        return [Place(c.across, c.down, c.face, c.tilt)]
    apart = min(0.30, 0.84 / max(1, c.faces))
    spread = [(number - (c.faces - 1) / 2) * apart for number in range(c.faces)]
    return [Place(c.across + x, c.down + rng.normal(0, 0.03), c.face, rng.normal(0, 8)) for x in spread]


def _background(rng: np.random.Generator) -> Plane:
    """From a bare wall to a crammed room, sharp or out of focus; float32, (SIDE, SIDE, 3)."""
    top, bottom = rng.uniform(20, 255, (2, 3)).astype(np.float32)
    # Most walls have hardly any colour.
    top, bottom = (colour + rng.uniform(0.2, 0.95) * (colour.mean() - colour) for colour in (top, bottom))
    down = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    wall = np.broadcast_to(top + (bottom - top) * down, (SIDE, SIDE, 3))
    image = Image.fromarray(wall.astype(np.uint8))
    clutter = rng.integers(0, 8) if rng.random() < 0.5 else rng.integers(8, 70)
    _strew(image, int(clutter), rng)
    # The judge must not take what is fine-grained for noise, nor what is far and soft for blur.
    image = image.filter(ImageFilter.GaussianBlur(float(np.exp(rng.uniform(-1, 2.2)))))
    canvas = np.asarray(image).astype(np.float32)
    for cells, levels in ((7, 8), (28, 6), (112, 4)):
        canvas += _mottle(cells, rng)[..., None] * rng.exponential(levels)
    return canvas.clip(0, 255)


def _strew(image: Image.Image, shapes: int, rng: np.random.Generator) -> None:
    pen = ImageDraw.Draw(image)
    for _ in range(shapes):
        x, y = rng.uniform(-0.1, 1, 2) * SIDE
        width, height = SIDE * np.exp(rng.uniform(-3.5, -0.8, 2))
        colour = tuple(int(level) for level in 0.6 * rng.uniform(0, 255, 3) + 0.4 * rng.uniform(0, 255))
        kind = rng.random()
        if kind < 0.4:
            pen.rectangle((x, y, x + width, y + height), fill=colour)
        elif kind < 0.6:
            pen.ellipse((x, y, x + width, y + height), fill=colour)
        elif kind < 0.8:
            pen.polygon([(x + a * width, y + b * height) for a, b in rng.uniform(-1, 1, (4, 2))], fill=colour)
        else:
            pen.line(
                (x, y, x + rng.normal(0, SIDE / 3), y + rng.normal(0, SIDE / 3)),
                fill=colour,
                width=int(width / 5) + 1,
            )


def _mottle(cells: int, rng: np.random.Generator) -> Plane:
    coarse = Image.fromarray(rng.standard_normal((cells, cells), np.float32))
    return np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _expose(canvas: Plane, composition: Composition, rng: np.random.Generator) -> Plane:
    """Lens, light and sensor, in that order: blur, exposure, noise."""
    image = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(composition.blur * SIDE / 1000)), np.float32)
    white_balance = rng.normal(1, 0.04, 3).astype(np.float32)
    # Levels are gamma-encoded, so that an EV is a factor of 2 ** (1 / 2.2).
    exposed = blurred * white_balance * 2 ** (composition.exposure / 2.2)
    grain = rng.standard_normal(exposed.shape, np.float32) * composition.noise
    noisy: Plane = (exposed.clip(0, 255) + grain).clip(0, 255)
    return noisy


def _develop(photo: Plane, composition: Composition) -> Plane:
    grey: Plane = photo.mean(axis=2, keepdims=True)
    if composition.filter == "faded":
        return 58 + 0.66 * (grey + 0.7 * (photo - grey))
    if composition.filter == "black and white":
        return np.repeat(grey, 3, axis=2)
    return photo


def _frame(photo: Plane, composition: Composition, rng: np.random.Generator) -> NDArray[np.uint8]:
    framed = photo.clip(0, 255).astype(np.uint8)
    if width := round(composition.border * SIDE):
        colour = 0 if rng.random() < 0.3 else 250
        for edge in (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:]):
            framed[edge] = colour
    return framed
