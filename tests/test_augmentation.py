"""Photos that are changed at random while training."""

from __future__ import annotations

import numpy as np
import pytest

from model.pixels import Pixels
from model.training.augmentation import augmented, drawn
from model.training.config import OFF, ON, Augmentation
from tests.photos import portrait

SIDE = 64


def photo() -> Pixels:
    return np.asarray(portrait(SIDE, SIDE))


def test_nothing_changes_where_nothing_is_to() -> None:
    assert augmented(photo(), OFF, (1,)) is not None
    assert np.array_equal(augmented(photo(), OFF, (1,)), photo())


def test_a_flipped_photo_is_its_mirror_image_to_the_pixel() -> None:
    assert np.array_equal(augmented(photo(), Augmentation(flip=1), (1,)), photo()[:, ::-1])


def test_about_as_many_photos_are_flipped_as_wanted() -> None:
    flips = [
        drawn(Augmentation(flip=0.3), np.random.default_rng(seed), SIDE)[0, 0] < 0 for seed in range(2000)
    ]
    assert 0.26 < np.mean(flips) < 0.34


def test_the_same_seed_changes_a_photo_in_the_same_way_and_another_differently() -> None:
    first, again, other = (augmented(photo(), ON, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (Augmentation(shift=0.1), 0.1),
        (Augmentation(scale=0.2), 0.2),
        (Augmentation(stretch=0.2), 0.2),
        (Augmentation(rotate=30), 30),
        (Augmentation(shear=20), 20),
    ],
)
def test_a_photo_is_changed_up_to_the_limit_and_no_further(change: Augmentation, most: float) -> None:
    found = [measure(change, seed) for seed in range(500)]
    assert max(found) <= most + 1e-6
    assert max(found) > 0.9 * most
    assert min(found) < -0.7 * most


def measure(change: Augmentation, seed: int) -> float:
    """How far a warp goes, in the unit of the one change that it may make."""
    warp = drawn(change, np.random.default_rng(seed), SIDE)
    linear, middle = warp[:, :2], np.full(2, (SIDE - 1) / 2)
    moved = linear @ middle + warp[:, 2] - middle
    if change.shift:
        return float(moved[0] / SIDE)
    assert np.allclose(moved, 0)  # all but shifts leave the middle where it is
    if change.rotate:
        return float(np.degrees(np.arctan2(linear[1, 0], linear[0, 0])))
    if change.shear:
        return float(np.degrees(np.arctan(linear[0, 1])))
    factor = linear[0, 0] / linear[1, 1] if change.stretch else linear[0, 0]
    return float(factor - 1)


def test_the_borders_show_the_photo_s_mirror_image_and_nothing_black() -> None:
    white = np.full((SIDE, SIDE, 3), 255, np.uint8)
    wild = Augmentation(flip=0.5, shift=0.3, scale=0.5, rotate=90, shear=30, stretch=0.5)
    assert all(augmented(white, wild, (seed,)).min() == 255 for seed in range(20))
