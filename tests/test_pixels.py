from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from model.pixels import PhotoRejected, squish
from tests.photos import encoded, huge_png, portrait, portrait_jpeg, quadrants

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def corners(photo: bytes) -> list[tuple[int, ...]]:
    """Colours of the four quarters, in reading order, rounded to pure ones."""
    pixels = squish(photo, side=32)
    found = [pixels[y, x] for y, x in ((8, 8), (8, 24), (24, 8), (24, 24))]
    return [tuple(int(value > 127) * 255 for value in pixel) for pixel in found]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_every_format_becomes_the_square_that_the_judge_expects(kind: str) -> None:
    pixels = squish(encoded(quadrants(), kind), side=32)

    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert corners(encoded(quadrants(), kind)) == [RED, GREEN, BLUE, WHITE]


def test_a_wide_photo_is_squeezed_not_cropped() -> None:
    wide = quadrants().resize((400, 50))

    assert corners(encoded(wide, "PNG")) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ],
)
def test_a_photo_taken_sideways_is_turned_upright(orientation: int, upright: list[tuple[int, ...]]) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation

    assert corners(encoded(quadrants(), "JPEG", exif=exif, quality=95)) == upright


def test_a_transparent_photo_lies_on_white() -> None:
    glass = Image.new("RGBA", (40, 40), (0, 0, 0, 0))

    assert squish(encoded(glass, "PNG"), side=16).min() == 255


def test_a_transparent_palette_lies_on_white() -> None:
    glass = Image.new("P", (40, 40), 0)
    glass.putpalette([0, 0, 0] * 256)

    assert squish(encoded(glass, "PNG", transparency=0), side=16).min() == 255


def test_sixteen_bits_a_sample_become_eight() -> None:
    grey = Image.fromarray(np.full((40, 40), 32768, np.uint16))

    assert abs(int(squish(encoded(grey, "PNG"), side=16)[0, 0, 0]) - 128) <= 1


@pytest.mark.parametrize("mode", ["L", "CMYK", "1"])
def test_other_colour_modes_become_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    white = Image.new("RGB", (40, 40), "white").convert(mode)

    assert squish(encoded(white, kind), side=16).mean() > 250


def test_an_animation_is_judged_by_its_first_frame() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert corners(moving) == [RED] * 4


def test_damaged_metadata_is_no_reason_to_refuse_a_photo() -> None:
    assert corners(encoded(quadrants(), "JPEG", exif=b"Exif\0\0garbage")) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("photo", "fault"),
    [
        (b"", "empty"),
        (b"<html>no photo</html>", "not_a_photo"),
        (portrait_jpeg()[:5000], "damaged"),
        (portrait_jpeg()[:300], "damaged"),
        (encoded(portrait(), "PNG")[:-5000], "damaged"),
        (huge_png(), "too_many_pixels"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(photo: bytes, fault: str) -> None:
    with pytest.raises(PhotoRejected) as refusal:
        squish(photo, side=32)

    assert refusal.value.fault == fault


def test_a_hundred_megapixels_are_refused_by_their_size_and_the_limit() -> None:
    with pytest.raises(PhotoRejected, match=r"10000x10000 \(100 MP\), limit is 40 MP") as refusal:
        squish(huge_png(), side=32)

    assert refusal.value.megapixels == 100


def test_the_limit_can_be_raised() -> None:
    with pytest.raises(PhotoRejected) as refusal:
        squish(huge_png(), side=32, max_megapixels=200)

    assert refusal.value.fault == "damaged"  # it was decoded, and there is little behind its header
