"""A drawn network as a dataset's folder: circles of six friends, one of each skin tone, who post portraits.

All six take the same shots, each before a background of their own, so that every skin tone is seen at every
exposure. Each shot is taken twice, the second time with one thing changed. Everything about a photo but its
pixels follows from the seed, at no cost; a photo that is there already is not drawn again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from model.files import replacing
from model.simulation.appeal import appeal
from model.simulation.development import develop, jpeg
from model.simulation.drawing import Cutout, draw
from model.simulation.people import SKIN_TONES, Person
from model.simulation.scenes import scene
from model.simulation.shots import Shot

TONES = len(SKIN_TONES)
MOMENTS = 4
"""How many different shots a circle's people take, each of them twice."""
CIRCLE = TONES * MOMENTS * 2
"""Photos of a circle."""
# What the lots of a circle are drawn for; numbers, as seeds are made of numbers.
_SHOTS, _PEOPLE, _SCENES, _DEVELOPMENT, _QUALITY = range(5)


class Lot(NamedTuple):
    """Which photo of a drawn network."""

    seed: int
    circle: int
    moment: int
    again: bool
    """Whether it is the second of the moment, with one thing changed."""
    tone: int
    """Who took it: an index into `SKIN_TONES`."""

    @property
    def name(self) -> str:
        """Path in the dataset's folder."""
        return f"photos/{self.circle:05}-{self.tone}-{self.moment}{'b' if self.again else 'a'}.jpg"

    @property
    def author(self) -> int:
        """A number for who took it."""
        return self.circle * TONES + self.tone

    @property
    def take(self) -> str:
        """What the photos of all six people who took the same shot have in common."""
        return f"{self.circle:05}-{self.moment}{'b' if self.again else 'a'}"

    @property
    def pair(self) -> str:
        """What the two photos of one moment have in common."""
        return f"{self.circle:05}-{self.tone}-{self.moment}"


@dataclass(frozen=True)
class Photo:
    """What is known of a drawn photo before it is drawn."""

    lot: Lot
    shot: Shot
    person: Person
    appeal: float


def photos(count: int, seed: int) -> list[Photo]:
    """List a network's first photos; each six in turn show people of every skin tone."""
    circles = (photo for circle in range(-(-count // CIRCLE)) for photo in _circle(seed, circle))
    return [photo for photo, _ in zip(circles, range(count), strict=False)]


def _circle(seed: int, circle: int) -> Iterator[Photo]:
    rng = np.random.default_rng((seed, circle, _SHOTS))
    people = [
        Person.draw(np.random.default_rng((seed, circle, _PEOPLE, tone)), tone) for tone in range(TONES)
    ]
    for moment in range(MOMENTS):
        shot = Shot.draw(rng)
        for again, taken in enumerate((shot, shot.twin(rng))):
            for tone, person in enumerate(people):
                yield Photo(Lot(seed, circle, moment, bool(again), tone), taken, person, appeal(taken))


def render(photo: Photo, friends: Sequence[Cutout]) -> bytes:
    """Take a photo as JPEG; friends are the photographer and then the other people of the circle."""
    lot = photo.lot

    def lots(purpose: int) -> np.random.Generator:
        return np.random.default_rng((lot.seed, lot.circle, purpose, lot.moment, lot.tone))

    developed = develop(scene(photo.shot, friends, lots(_SCENES)), photo.shot, lots(_DEVELOPMENT))
    return jpeg(developed, int(lots(_QUALITY).integers(60, 95)))


def take(network: Sequence[Photo], folder: Path, workers: int) -> Iterator[int]:
    """Draw the photos that are not in the folder yet, circle by circle, and say how many are done.

    Raises:
        OSError: A photo cannot be written; those before it stay, and are not drawn again next time.
    """
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    circles = [network[start : start + CIRCLE] for start in range(0, len(network), CIRCLE)]
    # A fork of a process with threads may hang, and torch or a database may have started some.
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(partial(_take_circle, folder), circles)


def _take_circle(folder: Path, circle: Sequence[Photo]) -> int:
    cv2.setNumThreads(1)
    missing = [photo for photo in circle if not (folder / photo.lot.name).is_file()]
    if missing:
        people = [cutout(photo) for photo in circle[:TONES]]
        for photo in missing:
            first = photo.lot.tone
            with replacing(folder / photo.lot.name) as draft:
                draft.write_bytes(render(photo, [*people[first:], *people[:first]]))
    return len(circle)


def cutout(photo: Photo) -> Cutout:
    """Draw the person who took a photo."""
    lot = photo.lot
    return draw(photo.person, np.random.default_rng((lot.seed, lot.circle, _PEOPLE, lot.tone, 1)))
