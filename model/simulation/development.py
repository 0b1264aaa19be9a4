"""From what stands before the lens to a photo: lens, light, sensor, filter, border, JPEG, in that order."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from model.simulation.shots import Shot
from model.simulation.texture import Plane, rgb

_GREY = rgb(0.299, 0.587, 0.114)


def develop(scene: Plane, shot: Shot, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Develop levels 0-255 of shape (side, side, 3); the rng decides what the shot leaves open."""
    balance = rng.normal(1, 0.04, 3).astype(np.float32)
    contrast, saturation = rng.uniform(0.9, 1.15), rng.uniform(0.6, 1.3)
    levels = _lens(scene * balance, shot, rng)
    levels = _sensor(_exposed(levels, shot, rng), shot, rng)
    levels = 127 + (levels - 127) * contrast if shot.exposure > -0.7 else levels
    levels = _filtered(_saturated(levels, saturation), shot, rng)
    return _bordered(levels.clip(0, 255), shot, rng).round().astype(np.uint8)


def jpeg(photo: NDArray[np.uint8], quality: int) -> bytes:
    """Encode RGB (h, w, 3)."""
    encoded: bytes = cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return encoded


def _lens(levels: Plane, shot: Shot, rng: np.random.Generator) -> Plane:
    """Out of focus, shaken, or enlarged from few pixels."""
    side = levels.shape[0]
    radius, kind = shot.blur * side / 1000, rng.random()
    if radius < 0.3:
        return levels
    if kind < 0.15 and radius > 1:
        few = max(int(side / (1 + 1.5 * radius)), 16)
        small = cv2.resize(levels, (few, few), interpolation=cv2.INTER_AREA)
        return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)  # type: ignore[no-any-return]
    if kind < 0.3 and radius > 1:
        length = int(4 * radius) | 1
        trace = np.zeros((length, length), np.float32)
        away = np.array([np.cos(20 * kind), np.sin(20 * kind)]) * length / 2
        ends = [tuple(int(length / 2 + sign * step) for step in away) for sign in (-1, 1)]
        cv2.line(trace, ends[0], ends[1], 1.0, 1)
        return cv2.filter2D(levels, -1, trace / trace.sum())  # type: ignore[no-any-return]
    return cv2.GaussianBlur(levels, (0, 0), radius)  # type: ignore[no-any-return]


def _exposed(levels: Plane, shot: Shot, rng: np.random.Generator) -> Plane:
    """Levels are gamma-encoded, so that an EV is a factor of 2 ** (1 / 2.2)."""
    curved = shot.exposure < -0.8 and rng.random() < 0.25
    if curved:
        dimmed: Plane = 255 * (levels.clip(0, 255) / 255) ** np.float32(1 - 0.8 * shot.exposure)
        return dimmed
    exposed: Plane = levels * np.float32(2 ** (shot.exposure / 2.2))
    return exposed


def _sensor(levels: Plane, shot: Shot, rng: np.random.Generator) -> Plane:
    """Grain of single pixels, of grey or of colours, fine or in blotches."""
    if shot.noise < 1:
        return levels
    side, kind = levels.shape[0], rng.random()
    # The judge sees fewer pixels, over which grain averages out.
    strength = np.float32(shot.noise * side / 224)
    shape = (side, side, 1 if kind < 0.3 else 3)
    if kind > 0.7:
        shape, strength = (side // 2, side // 2, 3), np.float32(shot.noise)
    grain = rng.standard_normal(shape, np.float32) * strength
    if kind > 0.7:
        grain = cv2.resize(grain, (side, side), interpolation=cv2.INTER_LINEAR)
    noisy: Plane = levels.clip(0, 255) + grain
    return noisy


def _saturated(levels: Plane, amount: float) -> Plane:
    grey = (levels @ _GREY)[..., None]
    saturated: Plane = grey + (levels - grey) * np.float32(amount)
    return saturated


def _filtered(levels: Plane, shot: Shot, rng: np.random.Generator) -> Plane:
    if not shot.filter:
        return levels
    if shot.filter == "black and white":
        return np.repeat((levels.clip(0, 255) @ _GREY)[..., None], 3, axis=2)
    warmth = rng.normal(0.02, 0.04) if shot.filter == "faded" else 0.1
    cast = warmth * np.array([0.8, 0, -1.5]) + rng.normal(0, 0.015, 3)
    tint = (1 + shot.strength * cast).astype(np.float32)
    if shot.filter == "warm":
        return levels * tint
    weak = 1 - 0.4 * shot.strength
    lifted = (255 * (1 - weak)) * rng.uniform(0.5, 0.8)
    return (lifted + weak * _saturated(levels.clip(0, 255), 1 - 0.4 * shot.strength)) * tint


def _bordered(levels: Plane, shot: Shot, rng: np.random.Generator) -> Plane:
    """Paint a border over the edges, or shrink the photo into it."""
    side = levels.shape[0]
    margin = round(shot.width * side)
    if not shot.border or margin < 1:
        return levels
    down = 0 if shot.sides == "left and right" else margin
    across = 0 if shot.sides == "above and below" else margin
    canvas = _ground(levels, shot, (down, across), rng)
    inside = np.s_[down : side - down, across : side - across]
    shrunk = shot.width > 0.1 or rng.random() < 0.6
    size = (side - 2 * across, side - 2 * down)
    canvas[inside] = cv2.resize(levels, size, interpolation=cv2.INTER_AREA) if shrunk else levels[inside]
    return canvas


def _ground(levels: Plane, shot: Shot, margins: tuple[int, int], rng: np.random.Generator) -> Plane:
    side = levels.shape[0]
    if shot.border == "blurred":
        few = cv2.resize(levels, (24, 24), interpolation=cv2.INTER_AREA)
        return cv2.resize(cv2.GaussianBlur(few, (0, 0), 1.5), (side, side), interpolation=cv2.INTER_CUBIC)  # type: ignore[no-any-return]
    if shot.border == "edges":
        down, across = margins
        small = cv2.resize(levels, (side - 2 * across, side - 2 * down), interpolation=cv2.INTER_AREA)
        return cv2.copyMakeBorder(small, down, down, across, across, cv2.BORDER_REPLICATE)  # type: ignore[no-any-return]
    colour = {"white": rng.uniform(240, 255), "black": rng.uniform(0, 15)}.get(shot.border)
    own = levels.mean((0, 1)) if rng.random() < 0.4 else rng.uniform(20, 235, 3)
    ground = own if colour is None else np.full(3, colour)
    return np.ones((side, side, 1), np.float32) * ground.astype(np.float32)
