"""Noise and soft edges, of which everything drawn is made."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.floating]
"""A picture or a mask: (h, w) or (h, w, 3), levels 0-255 or shares 0-1. float32, where speed counts."""


def rgb(red: float, green: float, blue: float) -> Plane:
    """A colour, (3,)."""
    return np.array([red, green, blue], np.float32)


def ramp(amount: Plane, low: float | Plane, high: float | Plane) -> Plane:
    """0 below `low`, 1 above `high`, smooth between."""
    t = ((amount - low) / (high - low)).clip(0, 1)
    smooth: Plane = t * t * (3 - 2 * t)
    return smooth


def mottled(
    rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, int], strength: float
) -> Plane:
    """Smooth noise of `size`, with as many independent values down and across as `cells` says."""
    coarse = rng.standard_normal(cells, np.float32) * np.float32(strength)
    noise: Plane = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
    return noise
