"""Hair, scarves and curls: behind the head and in front of it."""

from __future__ import annotations

import numpy as np

from model.simulation.sheet import WIDTH, Sheet
from model.simulation.texture import Plane, ramp


def hair_behind(s: Sheet) -> None:
    """What hangs behind head and shoulders; drawn first."""
    crown = _crown(s)
    behind = (
        np.maximum(crown, _fall(s) * (s.v > 0)) if s.person.long_hair else crown * (1 - ramp(s.v, -0.05, 0.3))
    )
    s.paint(_strands(s) * 0.7, behind)


def hair_in_front(s: Sheet) -> None:
    """What frames the face."""
    person, own = s.person, s.own
    hair = _strands(s)
    steep = 2.2 if person.long_hair else 1.2
    line = person.hairline - 0.12 * np.abs(s.f - own.uniform(-0.5, 0.5))
    line += own.uniform(0.5, 0.9) * steep * (np.abs(s.f) - 0.55).clip(0, 1) ** 1.2
    line += s.mottled((4, 50), 0.03)
    crown = _crown(s)
    front = (1 - ramp(s.v - line, -0.05, 0.03)) * crown
    if person.fringe:
        front = np.maximum(front, (1 - ramp(s.v, -0.34, -0.24)) * crown)
    s.paint(hair, front)
    if person.long_hair:
        locks = ramp(np.abs(s.u), 0.84, 0.96) * ramp(s.v, -0.4, -0.2)
        s.paint(hair * 0.95, locks * np.maximum(crown * (s.v < 0.1), _fall(s)))


def _strands(s: Sheet) -> Plane:
    """Hair as it falls, (h, w, 3)."""
    person, own = s.person, s.own
    if person.style == "scarf":
        tone = 1 + s.mottled((9, 5), 0.12)
    elif person.style == "curly":
        tone = 1 + s.mottled((60, 52), 0.3) + s.mottled((18, 15), 0.15)
    else:
        fine = s.mottled((6, int(own.integers(70, 120))), 0.18)
        tone = 1 + fine + s.mottled((20, WIDTH // 2), 0.1)
    shine = 0.8 + s.rng.uniform(0, 0.5) * np.exp(-(((s.v + 0.75 + 0.3 * s.u**2) / 0.25) ** 2))
    return person.hair * (tone * shine)[..., None]


def _crown(s: Sheet) -> Plane:
    person = s.person
    if person.style == "none":
        return np.zeros_like(s.u)
    edge = 0.06 if person.style != "curly" else 0.05 + 0.1 * np.abs(s.mottled((30, 26), 1))
    top = 1.1 + 0.35 * (person.hair_width - 1)
    crown: Plane = 1 - ramp((s.u / person.hair_width) ** 2 + (s.v / top) ** 2, 0.92, 1.0 + edge)
    return crown


def _fall(s: Sheet) -> Plane:
    """Hair from the temples down, (h, w)."""
    person, own = s.person, s.own
    wave = own.uniform(0, 0.09) * np.sin(s.v * own.uniform(4, 9) + own.uniform(0, 6))
    side = np.abs(s.u + wave) / person.hair_width / (1 + 0.12 * s.v.clip(0, 2))
    fall: Plane = (1 - ramp(side, 0.9, 1.03)) * (1 - ramp(s.v, person.hair_length - 0.3, person.hair_length))
    return fall
