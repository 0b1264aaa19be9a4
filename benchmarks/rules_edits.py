"""What people do to a portrait, for benchmarks/rules.py: each edit takes a portrait and gives a photo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

SEEN = 224  # pixels a side that a judge sees; blur is meant at this size
GAMMA = 2.2
CROWN_TO_CHIN = 1.35  # of a detector's box, which ends at the forehead
THIRD, TINY = 1 / 3, 0.09  # of the photo's height


@dataclass(frozen=True)
class Face:
    """Where a face is in a photo, in its pixels: the centre, and the height from crown to chin."""

    x: float
    y: float
    height: float

    @classmethod
    def of_box(cls, left: float, top: float, right: float, bottom: float) -> Face:
        """Of a detector's box."""
        height = (bottom - top) * CROWN_TO_CHIN
        return cls((left + right) / 2, bottom - height / 2, height)

    def scaled(self, across: float, down: float) -> Face:
        """In other units."""
        return Face(self.x * across, self.y * down, self.height * down)


@dataclass(frozen=True)
class Portrait:
    """A photo with a face, and the group its sub-folder stands for."""

    photo: Image.Image
    face: Face
    group: str


Edit = Callable[[Portrait, np.random.Generator], Image.Image]
Levels = NDArray[np.float64]


def _levels(photo: Image.Image) -> Levels:
    return np.asarray(photo, np.float64)


def _photo(levels: Levels) -> Image.Image:
    return Image.fromarray(levels.clip(0, 255).round().astype(np.uint8))


def dark(portrait: Portrait, _: np.random.Generator, steps: float) -> Image.Image:
    """2 ** -steps of the light."""
    light = (_levels(portrait.photo) / 255) ** GAMMA * 2.0**-steps
    return _photo(255 * light ** (1 / GAMMA))


def halved(portrait: Portrait, _: np.random.Generator) -> Image.Image:
    return _photo(_levels(portrait.photo) * 0.5)


def noisy(portrait: Portrait, rng: np.random.Generator, sigma: float) -> Image.Image:
    """Grain of the size that a judge sees, however large the photo is."""
    photo = portrait.photo.resize((SEEN, SEEN), Image.Resampling.BICUBIC)
    return _photo(_levels(photo) + rng.normal(0, sigma, (SEEN, SEEN, 3)))


def coarse_noise(portrait: Portrait, rng: np.random.Generator) -> Image.Image:
    """What a phone makes of little light: blotches of colour as well as grain."""
    blotches = Image.fromarray(rng.normal(128, 40, (SEEN // 2, SEEN // 2, 3)).clip(0, 255).astype(np.uint8))
    photo = portrait.photo.resize((SEEN, SEEN), Image.Resampling.BICUBIC)
    grain = rng.normal(0, 12, (SEEN, SEEN, 1))
    return _photo(_levels(photo) + _levels(blotches.resize((SEEN, SEEN))) - 128 + grain)


def dark_and_noisy(portrait: Portrait, rng: np.random.Generator) -> Image.Image:
    darkened = Portrait(dark(portrait, rng, 2), portrait.face, portrait.group)
    return noisy(darkened, rng, 12)


def blurred(portrait: Portrait, _: np.random.Generator, radius: float) -> Image.Image:
    photo = portrait.photo
    # A radius for each direction, as the judge will squish what it gets.
    return photo.filter(ImageFilter.GaussianBlur([radius * length / SEEN for length in photo.size]))


def few_pixels(portrait: Portrait, _: np.random.Generator) -> Image.Image:
    """A thumbnail, enlarged again."""
    small = portrait.photo.resize((56, 56), Image.Resampling.BICUBIC)
    return small.resize((SEEN, SEEN), Image.Resampling.BICUBIC)


def framed(portrait: Portrait, _: np.random.Generator, share: float) -> Image.Image:
    """Cut out so that the face fills that share of the height, as far as the photo reaches."""
    return _cut(portrait, portrait.photo, share)


def _cut(portrait: Portrait, photo: Image.Image, share: float) -> Image.Image:
    face = portrait.face
    scale = face.height / share / portrait.photo.height
    width, height = portrait.photo.width * scale, portrait.photo.height * scale
    left = min(max(face.x - width / 2, 0), max(photo.width - width, 0))
    top = min(max(face.y - height / 2, 0), max(photo.height - height, 0))
    return photo.crop((round(left), round(top), round(left + width), round(top + height)))


def reach(portrait: Portrait, rng: np.random.Generator, share: float, ground: str) -> Image.Image:
    """Bring the face to that share of the height: by a cut, or by putting the photo into a larger scene."""
    photo, larger = portrait.photo, portrait.face.height / portrait.photo.height / share
    if larger <= 1:
        return _cut(portrait, photo, share)
    scene = _scene(photo, larger, ground)
    small = photo if larger < 3 else photo.resize((photo.width // 2, photo.height // 2))
    if small is not photo:
        scene = scene.resize((scene.width // 2, scene.height // 2))
    place = rng.uniform(0.4, 0.6, 2)
    rooms = np.subtract(scene.size, small.size)
    x, y = (round(float(room * where)) for room, where in zip(rooms, place, strict=True))
    if ground == "edges":
        return _drawn_out(small, scene.size, (x, y))
    scene.paste(small, (x, y))
    return scene


def _scene(photo: Image.Image, larger: float, ground: str) -> Image.Image:
    width, height = round(photo.width * larger), round(photo.height * larger)
    if ground == "blur":
        tiny = photo.resize((24, 24), Image.Resampling.BOX).filter(ImageFilter.GaussianBlur(2))
        return tiny.resize((width, height), Image.Resampling.BICUBIC)
    mean = tuple(int(level) for level in _levels(photo).mean((0, 1)))
    return Image.new("RGB", (width, height), mean)


def _drawn_out(photo: Image.Image, size: tuple[int, int], place: tuple[int, int]) -> Image.Image:
    (width, height), (x, y) = size, place
    margins = ((y, height - y - photo.height), (x, width - x - photo.width), (0, 0))
    return Image.fromarray(np.pad(np.asarray(photo), margins, mode="edge"))


def faded(portrait: Portrait, _: np.random.Generator, tint: tuple[float, float, float]) -> Image.Image:
    """Less contrast, lifted blacks, paler colours."""
    levels = _levels(portrait.photo)
    grey = levels.mean(2, keepdims=True)
    return _photo((58 + 0.7 * (grey + 0.7 * (levels - grey))) * np.array(tint))


def black_and_white(portrait: Portrait, _: np.random.Generator) -> Image.Image:
    return portrait.photo.convert("L").convert("RGB")


def bordered(
    portrait: Portrait, _: np.random.Generator, sides: tuple[float, float], colour: str
) -> Image.Image:
    """A border around the whole photo; its widths are shares of the photo's, across and down."""
    across, down = (round(share * length) for share, length in zip(sides, portrait.photo.size, strict=True))
    return ImageOps.expand(portrait.photo, (across, down), colour)


def painted_over(portrait: Portrait, _: np.random.Generator) -> Image.Image:
    """A white frame painted over the photo's edges."""
    width, height = portrait.photo.size
    margin = round(0.06 * min(width, height))
    inner = portrait.photo.crop((margin, margin, width - margin, height - margin))
    return ImageOps.expand(inner, margin, "white")


def collage(photos: Sequence[Image.Image], layout: tuple[int, int]) -> Image.Image:
    """Photos beside and below one another; layout is columns and rows."""
    columns, rows = layout
    side = 2 * SEEN
    canvas = Image.new("RGB", (side, side))
    size = (side // columns, side // rows)
    for number, photo in enumerate(photos):
        row, column = divmod(number, columns)
        canvas.paste(ImageOps.fit(photo, size, centering=(0.5, 0.3)), (column * size[0], row * size[1]))
    return canvas


EDITS: dict[str, Edit] = {
    "dark, 1.5 EV": partial(dark, steps=1.5),
    "dark, 3 EV": partial(dark, steps=3),
    "dark, levels halved": halved,
    "dark and noisy": dark_and_noisy,
    "noise, 15 levels": partial(noisy, sigma=15),
    "noise, 30 levels": partial(noisy, sigma=30),
    "noise, coarse": coarse_noise,
    "blur, 1.5 px": partial(blurred, radius=1.5),
    "blur, 3 px": partial(blurred, radius=3),
    "blur, few pixels": few_pixels,
    "face fills 0.9": partial(framed, share=0.9),
    "face fills 1.2": partial(framed, share=1.2),
    "tiny, before its own blur": partial(reach, share=TINY, ground="blur"),
    "tiny, edges drawn out": partial(reach, share=TINY, ground="edges"),
    "tiny, on plain colour": partial(reach, share=TINY, ground="plain"),
    "faded": partial(faded, tint=(1, 1, 1)),
    "faded, warm": partial(faded, tint=(1.05, 1, 0.92)),
    "black and white": black_and_white,
    "white above and below": partial(bordered, sides=(0, 0.12), colour="white"),
    "white all around": partial(bordered, sides=(0.1, 0.1), colour="white"),
    "white, painted over": painted_over,
    "black border": partial(bordered, sides=(0.06, 0.06), colour="black"),
    "third, before its own blur": partial(reach, share=THIRD, ground="blur"),
    "third, edges drawn out": partial(reach, share=THIRD, ground="edges"),
}
COLLAGES = {
    "2 side by side": (2, (2, 1)),
    "3 side by side": (3, (3, 1)),
    "4 side by side": (4, (4, 1)),
    "2 x 2": (4, (2, 2)),
}
