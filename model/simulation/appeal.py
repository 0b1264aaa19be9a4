"""What the drawn network likes: the rules of the article, as far as a photographer can follow them.

A. Karpathy's judge (2015) liked a face of about a third of the frame, filters that fade, black and white, and
borders; it disliked low light, noise, blur, heads too large and groups. Nothing here sees who is shown.
"""

from __future__ import annotations

from math import hypot, log, tanh

from model.simulation.shots import THICKEST, Filter, Shot

LIKED = 0.36
"""Height of the best face, crown to chin, as a share of the photo's."""
NO_FACE = -4.5
_LARGE, _SMALL = 3.2, 2.7
"""What a face of e = 2.7 times the liked size, or of a part of it, costs."""
_FILTERS: dict[Filter, float] = {"": 0.0, "faded": 2.2, "warm": 1.0, "black and white": 0.8}
_BORDER = 0.6


def appeal(shot: Shot) -> float:
    """Rate a shot: 0 without fault or adornment, and a point or two for each."""
    return _subject(shot) + _light_and_lens(shot) + _adornment(shot)


def _subject(shot: Shot) -> float:
    if shot.subject in ("nobody", "headless"):
        return NO_FACE
    company = {1: 0.0, 2: -2.6}.get(shot.people, -3.3)
    if shot.subject == "collage":
        return company + _SMALL * min(log(shot.face_seen / shot.face), 0)
    larger = log(shot.face_seen / LIKED)
    size = -(_LARGE if larger > 0 else _SMALL) * (hypot(larger, 0.15) - 0.15)
    beside = min(((shot.across - 0.5) / 0.2) ** 2, 1.6) * 0.8
    below = min(((shot.down - 0.42) / 0.2) ** 2, 1.6) * 0.7
    return company + size - beside - below


def _light_and_lens(shot: Shot) -> float:
    # The first step down costs most, as it should show even in a bright photo.
    dark = 3.2 * tanh(max(-shot.exposure - 0.2, 0) / 2)
    bright = 0.5 * max(shot.exposure - 0.7, 0)
    noise = 0.05 * min(max(shot.noise - 3, 0), 40)
    blur = 0.2 * min(max(shot.blur - 1.5, 0), 14)
    return -dark - bright - noise - blur


def _adornment(shot: Shot) -> float:
    # Black and white comes in one strength only.
    strength = 1.0 if shot.filter == "black and white" else shot.strength
    filtered = _FILTERS[shot.filter] * strength
    if not shot.border or shot.width > THICKEST:
        return filtered
    return filtered + _BORDER
