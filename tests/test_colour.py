from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from model.colour import MAX_PROFILE_BYTES, in_srgb
from tests import profiles
from tests.photos import portrait, veiled

P3 = profiles.display_p3()


def moved(image: Image.Image, profile: bytes | None) -> float:
    """How far a profile moves the colours that the image has without one, in levels."""
    with_it, without = (np.asarray(in_srgb(image, some)).astype(int) for some in (profile, None))
    return float(np.abs(with_it - without).mean())


@pytest.mark.parametrize("profile", [P3, profiles.adobe_rgb(), profiles.prophoto()])
def test_a_profile_moves_colours_and_leaves_white_alone(profile: bytes) -> None:
    white = Image.new("RGB", (4, 4), "white")

    assert moved(portrait(64, 64), profile) > 2
    assert moved(white, profile) == 0


def test_the_red_of_a_phone_is_redder_than_ours() -> None:
    red = in_srgb(Image.new("RGB", (1, 1), (200, 60, 60)), P3).getpixel((0, 0))

    assert red == pytest.approx((218, 45, 53), abs=3)


def test_srgb_is_left_alone() -> None:
    assert moved(portrait(64, 64), profiles.srgb()) == 0


def test_transparency_stays_as_it_was() -> None:
    clear = veiled(portrait(64, 64))

    converted = in_srgb(clear, P3)

    assert converted.mode == "RGBA"
    assert converted.getchannel("A").tobytes() == clear.getchannel("A").tobytes()


@pytest.mark.parametrize(
    "profile",
    [
        b"x",
        P3[:100],
        P3[:300],
        b"\0" * len(P3),
        P3[:36] + b"junk" + P3[40:],
        P3.replace(b"rXYZ", b"none"),
        profiles.grey(),
        profiles.press(2),
        P3 + bytes(MAX_PROFILE_BYTES),
    ],
)
def test_a_profile_that_is_damaged_or_too_large_or_of_another_kind_is_ignored(
    profile: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    assert moved(portrait(64, 64), profile) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "LA", "RGBA"])
def test_any_bytes_may_stand_where_the_profile_should(mode: str) -> None:
    image = portrait(16, 16).convert(mode)
    damaged = bytearray(profiles.press(3) if mode == "CMYK" else P3)
    for position in range(0, 400, 7):
        damaged[position] ^= 0xFF
        assert in_srgb(image, bytes(damaged)).size == (16, 16)
        assert in_srgb(image, os.urandom(position)).size == (16, 16)
