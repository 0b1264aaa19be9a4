"""A head in relief under a lamp, with what is painted on it."""

from __future__ import annotations

import cv2
import numpy as np

from model.simulation.sheet import HALF, Sheet
from model.simulation.texture import Plane, ramp, rgb

_WHITE, _BLACK = rgb(234, 230, 226), rgb(16, 14, 14)


def head(s: Sheet) -> None:
    """Ears, skin, beard, mouth and eyes."""
    person, own = s.person, s.own
    if not person.long_hair:
        ears = ((np.abs(s.u) - 1.02) / 0.09) ** 2 + ((s.v - 0.03) / 0.22) ** 2
        s.paint(person.skin * 0.75, 1 - ramp(ears, 0.8, 1.1))
    freckles = s.mottled((56, 48), 0.02) + s.mottled((190, 160), 0.014)
    skin = person.skin * (1 + freckles)[..., None]
    blush = (
        s.glow(-0.5, 0.26, (0.25, 0.2)) + s.glow(0.5, 0.26, (0.25, 0.2)) + 0.6 * s.glow(0, 0.3, (0.16, 0.12))
    )
    skin *= 1 - (blush * own.uniform(0, 0.22))[..., None] * rgb(0, 0.35, 0.3)
    if person.beard:
        edge = ramp(s.v + 0.6 * s.f**2, 0.32, 0.75)
        stubble = person.beard * edge * (1 + s.mottled((190, 160), 0.4)).clip(0, 1.2)
        _dab(skin, person.hair * 0.7, stubble)
    _mouth(s, skin)
    _eyes(s, skin)
    light, gloss = _light(s)
    s.paint((skin * light[..., None] + gloss[..., None]).clip(0, 255), 1 - ramp(s.radius, 0.94, 1.02))


def glasses(s: Sheet) -> None:
    """What is worn over the hair."""
    if not s.person.glasses:
        return
    frame = np.float32(s.own.uniform(15, 80)) * np.ones(3, np.float32)
    on_face = 1 - ramp(s.radius, 1.0, 1.1)
    for side in (-1, 1):
        lens = ((s.f * side - 0.38) / 0.25) ** 2 + ((s.v + 0.07) / 0.16) ** 2
        if s.person.glasses == "dark":
            s.paint(frame * 0.5, (1 - ramp(lens, 0.9, 1.05)) * on_face)
        s.paint(frame, np.exp(-(((lens - 1) / 0.16) ** 2)) * on_face)
    s.paint(frame, (np.abs(s.f) < 0.14) * np.exp(-(((s.v + 0.09) / 0.02) ** 2)) * on_face)


def _relief(s: Sheet) -> Plane:
    """How far the face stands out towards the camera, (h, w), in half heads."""
    smile = s.person.smile
    relief = 0.95 * s.depth + 0.22 * s.glow(0, 0.3, (0.13, 0.16)) + 0.12 * s.glow(0, 0.08, (0.09, 0.22))
    for side in (-1, 1):
        relief -= 0.09 * s.glow(side * 0.38, -0.08, (0.17, 0.1))
        relief += 0.05 * (1 + smile) * s.glow(side * 0.5, 0.28, (0.22, 0.2))
    relief += 0.05 * s.glow(0, -0.25, (0.6, 0.07)) + 0.06 * s.glow(0, 0.53, (0.2, 0.035))
    relief += 0.07 * s.glow(0, 0.63, (0.16, 0.04)) + 0.05 * s.glow(0, 0.88, (0.2, 0.12))
    smooth: Plane = cv2.GaussianBlur(relief, (0, 0), 1.2)
    return smooth


def _light(s: Sheet) -> tuple[Plane, Plane]:
    """What the lamp and the room give the face, and its gloss, (h, w) each."""
    relief, rng = _relief(s), s.rng
    across = cv2.Sobel(relief, cv2.CV_32F, 1, 0) / 8 * HALF * s.person.aspect
    down = cv2.Sobel(relief, cv2.CV_32F, 0, 1) / 8 * HALF
    towards = 1 / np.sqrt(across**2 + down**2 + 1)
    lamp = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.8, 0.1), rng.uniform(0.5, 1.1)], np.float32)
    lamp /= np.linalg.norm(lamp)
    halfway = lamp + rgb(0, 0, 1)
    halfway /= np.linalg.norm(halfway)

    def facing(way: Plane) -> Plane:
        lit: Plane = (towards * (way[2] - across * way[0] - down * way[1])).clip(0, 1)
        return lit

    room = rng.uniform(0.4, 0.68)
    gloss = facing(halfway) ** rng.uniform(18, 50) * rng.uniform(5, 55)
    return room + (1 - room) * 1.15 * facing(lamp), gloss


def _dab(skin: Plane, colour: Plane, mask: Plane) -> None:
    skin += (colour - skin) * mask[..., None]


def _mouth(s: Sheet, skin: Plane) -> None:
    person = s.person
    smile = float(np.clip(person.smile + s.rng.normal(0, 0.25), -0.1, 1))
    inside = np.abs(s.f) < person.mouth
    middle = s.v - 0.57 + 0.08 * smile * (s.f / person.mouth) ** 2
    full = (1 - (np.abs(s.f) / person.mouth) ** 2.2).clip(0.02, 1)
    lips = ramp(1 - np.abs(middle) / (0.07 * full), 0, 0.5) * inside
    _dab(skin, person.lips, 0.85 * lips)
    if smile > 0.45:
        teeth = ramp(1 - np.abs(middle - 0.005) / (0.04 * full), 0, 0.6) * (np.abs(s.f) < 0.8 * person.mouth)
        _dab(skin, rgb(240, 236, 228), teeth)
    else:
        skin *= 1 - (0.55 * inside * np.exp(-((middle / 0.012) ** 2)))[..., None]
    nostrils = s.glow(-0.075, 0.4, (0.04, 0.022)) + s.glow(0.075, 0.4, (0.04, 0.022))
    skin *= 1 - 0.45 * nostrils[..., None]


def _eyes(s: Sheet, skin: Plane) -> None:
    person = s.person
    gaze = s.rng.uniform(-0.035, 0.035)
    for side in (-1, 1):
        x, y = s.f * side - 0.38, s.v + 0.08
        brow = np.exp(-(((x) / 0.2) ** 4)) * np.exp(
            -(((y + 0.19 + 0.05 * x + 0.12 * x**2) / person.brows) ** 2)
        )
        _dab(skin, person.hair * 0.6, 0.75 * brow)
        rim = (x / 0.165) ** 2 + (y / (0.072 * person.eyes)) ** 2
        white = ramp(1 - rim, 0, 0.25)
        _dab(skin, _WHITE, white)
        away = (x - side * gaze) ** 2
        _dab(skin, person.iris, white * ramp(1 - away / 0.068**2 - (y / 0.058) ** 2, 0, 0.2))
        _dab(skin, _BLACK, 0.9 * white * ramp(1 - away / 0.03**2 - (y / 0.026) ** 2, 0, 0.3))
        skin += (160 * white * np.exp(-(((x - 0.02) / 0.012) ** 2) - ((y + 0.02) / 0.012) ** 2))[..., None]
        lid = np.exp(-(((rim - 1) / 0.35) ** 2)) * (s.v < 0.02)
        skin *= 1 - 0.6 * lid[..., None]
