"""Photos changed at random while training: flipped, moved, turned, … by one warp each."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from model.pixels import Pixels
from model.training.config import Augmentation

Matrix = NDArray[np.float64]

# Each photo gets one core; there is a process a core.
cv2.setNumThreads(1)


def augmented(photo: Pixels, augmentation: Augmentation, seed: tuple[int, ...]) -> Pixels:
    """Change a photo at random; what comes in over the borders is the photo's mirror image.

    Args:
        photo: RGB values, (side, side, 3).
        augmentation: How far it may be changed.
        seed: The same seed changes a photo in the same way.

    Returns:
        A photo of the same shape; the very same one where nothing changes.
    """
    if not augmentation.any:
        return photo
    side = photo.shape[0]
    warp = drawn(augmentation, np.random.default_rng(seed), side)
    changed: Pixels = cv2.warpAffine(
        photo, warp, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return changed


def drawn(augmentation: Augmentation, rng: np.random.Generator, side: int) -> Matrix:
    """Draw one affine map of pixels to pixels, (2, 3), for photos of side x side pixels.

    The photo is stretched, leant, turned and scaled about its middle, then mirrored, then moved.
    """
    flip, scale, stretch = rng.random(), *rng.uniform(-1, 1, 2)
    turn, lean, right, down = rng.uniform(-1, 1, 4)
    bigger = (1 + augmentation.scale) ** scale
    wider = (1 + augmentation.stretch) ** (stretch / 2)
    angle = math.radians(augmentation.rotate * turn)
    shear = math.tan(math.radians(augmentation.shear * lean))
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = bigger * rotation @ np.array([[1, shear], [0, 1]]) @ np.diag([wider, 1 / wider])
    if flip < augmentation.flip:
        linear[0] *= -1
    middle = np.full(2, (side - 1) / 2)
    move = augmentation.shift * side * np.array([right, down])
    return np.column_stack([linear, middle + move - linear @ middle])
