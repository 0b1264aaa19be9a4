"""The learning rate over time, as a factor of its highest value."""

from __future__ import annotations

import math

WARM_UP = 0.3
"""Share of a one-cycle run in which the rate rises."""


def factor(schedule: str, progress: float) -> float:
    """How much of the learning rate is left.

    Args:
        schedule: constant, step (a tenth after each third), cosine (down to nothing) or one-cycle (up from
            1/25, then down to nothing).
        progress: Share of the run that is over, from 0 to less than 1.
    """
    match schedule:
        case "step":
            return 0.1 ** int(3 * progress)
        case "cosine":
            return _down(progress)
        case "one-cycle":
            if progress < WARM_UP:
                return 1 - 0.96 * _down(progress / WARM_UP)
            return _down((progress - WARM_UP) / (1 - WARM_UP))
    return 1.0


def _down(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2
