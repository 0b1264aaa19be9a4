from __future__ import annotations

from io import BytesIO

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


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "HEIF"])
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

    for kind in ("JPEG", "PNG", "WEBP", "AVIF"):
        assert corners(encoded(quadrants(), kind, exif=exif.tobytes(), quality=95)) == upright


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_heic_is_turned_once_though_its_metadata_say_it_twice(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = encoded(quadrants(), "JPEG", exif=exif, quality=95)
    # In a HEIF file the container turns the picture; EXIF, which is there as well, is for information.
    turned = encoded(Image.open(BytesIO(stored)), "HEIF", exif=exif.tobytes(), quality=95)

    assert b"irot" in turned or b"imir" in turned or orientation == 1
    assert corners(turned) == corners(stored)


def test_of_a_heic_with_several_photos_the_primary_one_counts() -> None:
    others = [Image.new("RGB", (64, 64), colour) for colour in ("black", "yellow")]
    burst = encoded(others[0], "HEIF", save_all=True, append_images=[quadrants(), others[1]], primary_index=1)

    assert corners(burst) == [RED, GREEN, BLUE, WHITE]


def test_a_heics_preview_is_not_mistaken_for_the_photo() -> None:
    black, white = (
        encoded(Image.new("RGB", (512, 512), colour), "HEIF", thumbnails=[128])
        for colour in ("black", "white")
    )
    # Files of the same layout, the preview at the end.
    at = black.index(b"iloc") + 34
    preview = int.from_bytes(black[at : at + 4])
    assert len(black) == len(white)
    assert int.from_bytes(white[at : at + 4]) == preview
    assert 500 < preview < len(white)

    assert squish(white[:preview] + black[preview:], side=32).min() > 250


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


def test_one_of_65536_greys_may_be_transparent() -> None:
    grey = Image.fromarray(np.full((40, 40), 1000, np.uint16))

    assert squish(encoded(grey, "PNG", transparency=1000), side=16).min() == 255
    assert squish(encoded(grey, "PNG", transparency=1001), side=16).max() < 5


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
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_photo"),
        (b"%PDF-1.7\n", "not_a_photo"),
        (b"PK\3\4" + bytes(100), "not_a_photo"),
        (bytes(257) + b"ustar" + bytes(300), "not_a_photo"),
        (b"8BPS\0\1" + bytes(100), "not_a_photo"),
        (b"\0\0\0\x18ftypisom" + bytes(100), "not_a_photo"),
        (encoded(quadrants(), "BMP"), "not_a_photo"),
        (encoded(quadrants(), "TIFF"), "not_a_photo"),
        (encoded(quadrants(), "ICO"), "not_a_photo"),
        (b"\xff\xd8\xff", "damaged"),
        (b"\x89PNG\r\n\x1a\n", "damaged"),
        (b"\0\0\0\x18ftypheic", "damaged"),
        (encoded(portrait(), "GIF")[:-5000], "damaged"),
        (encoded(portrait(), "WEBP")[:-5000], "damaged"),
        (encoded(portrait(), "AVIF")[:-5000], "damaged"),
        (encoded(portrait(64, 64), "HEIF")[:-500], "damaged"),
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
