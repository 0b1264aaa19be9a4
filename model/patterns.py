"""Squares of pixels from a number: what two machines can try a judge with, without anybody's photo.

Integers only, and no random generator of a library, so that the same number gives the same bytes everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.pixels import Pixels

_WAVES = 4  # a channel; one alone would be a plain ramp
_GRAIN = 24  # levels; without it a judge would see nothing but gradients


def patterns(seeds: Sequence[int], side: int) -> Pixels:
    """Draw one square for each seed: soft waves of colour, in all directions, with some grain.

    Args:
        seeds: Any integers from 0 on.
        side: Side of the squares, in pixels.

    Returns:
        RGB values 0-255, uint8, shape (len(seeds), side, side, 3).
    """
    return np.stack([_pattern(seed, side) for seed in seeds])


def _pattern(seed: int, side: int) -> Pixels:
    lots = _lots(seed, 4 * _WAVES * 3).reshape(3, _WAVES, 4)
    y, x = np.mgrid[:side, :side] * 256 // side  # 0-255: the waves don't depend on the side
    channels = [sum(_wave(x, y, *wave) for wave in channel) // 2 for channel in lots.tolist()]
    grain = _lots(seed + 1, side * side).reshape(side, side, 1) % (2 * _GRAIN) - _GRAIN
    return (np.stack(channels, axis=2) + grain).clip(0, 255).astype(np.uint8)


def _wave(x: NDArray[np.int64], y: NDArray[np.int64], *lots: int) -> NDArray[np.int64]:
    across, down, start, height = lots
    # A triangle: 0 up to 255 and down again, at most four times from edge to edge.
    phase = (x * (across % 9 - 4) + y * (down % 9 - 4) + start) % 512
    wave: NDArray[np.int64] = abs(phase - 256).clip(0, 255) * (height % 192 + 64) // 255
    return wave


def _lots(seed: int, count: int) -> NDArray[np.int64]:
    """Draw integers from 0 to 2 ** 31 - 1 (splitmix64, its upper half), shape (count,)."""
    with np.errstate(over="ignore"):
        state = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state += np.uint64(seed) * np.uint64(0xD1B54A32D192ED03)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((state ^ (state >> np.uint64(31))) >> np.uint64(33)).astype(np.int64)
