"""Every format, mode, orientation and profile, against a reference that takes no short cut."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageCms, ImageOps

from model.pixels import squish
from tests import profiles, reference
from tests.photos import encoded, portrait, rings, veiled

SIDE = 64
# Levels of 255, on average over the square.
TOLERANCE = 2.0

JPEGS: list[dict[str, object]] = [{"quality": 90}, {"quality": 90, "subsampling": 0}, {"progressive": True}]
PICTURES = {"portrait": portrait(481, 321), "rings": rings(481, 321)}
PROFILES = {
    "sRGB": profiles.srgb(),
    "Display P3": profiles.display_p3(),
    "Adobe RGB": profiles.adobe_rgb(),
    "ProPhoto": profiles.prophoto(),
}


def difference(photo: bytes) -> float:
    return float(np.abs(squish(photo, side=SIDE) - reference.square(photo, SIDE)).mean())


def in_terms_of(profile: bytes, picture: Image.Image) -> Image.Image:
    """The picture as a camera with that profile writes it."""
    return reference.translated(picture, reference.SRGB, ImageCms.ImageCmsProfile(BytesIO(profile)), "RGB")


def files(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    """A picture in everything that it can be put in."""
    grey, inks, clear = picture.convert("L"), picture.convert("CMYK"), veiled(picture)
    few = picture.quantize(64)
    for number, options in enumerate(JPEGS):
        yield f"JPEG {number}", encoded(picture, "JPEG", **options)
        yield f"JPEG grey {number}", encoded(grey, "JPEG", **options)
        yield f"JPEG CMYK {number}", encoded(inks, "JPEG", **options)
    for image in (picture, clear, grey, clear.convert("LA"), few, picture.convert("1")):
        yield f"PNG {image.mode}", encoded(image, "PNG")
    yield "PNG 16 bits", encoded(Image.fromarray(np.asarray(grey).astype(np.uint16) * 257), "PNG")
    yield "PNG palette, transparent", encoded(few, "PNG", transparency=7)
    yield "PNG palette, translucent", encoded(few, "PNG", transparency=bytes(range(0, 256, 4)))
    yield "PNG one colour transparent", encoded(picture, "PNG", transparency=picture.getpixel((9, 9)))
    yield "PNG one grey transparent", encoded(grey, "PNG", transparency=grey.getpixel((9, 9)))
    yield "GIF", encoded(few, "GIF")
    yield "GIF transparent", encoded(few, "GIF", transparency=7)
    for image in (picture, clear):
        yield f"WebP {image.mode}", encoded(image, "WEBP")
        yield f"WebP lossless {image.mode}", encoded(image, "WEBP", lossless=True, method=0)
    for image in (picture, clear, grey):
        yield f"AVIF {image.mode}", encoded(image, "AVIF", speed=10)
        # x265 takes its time.
        yield f"HEIC {image.mode}", encoded(image.resize((301, 200)), "HEIF")


@pytest.mark.parametrize("picture", PICTURES)
def test_a_photo_looks_like_the_reference_in_every_format_and_mode(picture: str) -> None:
    differences = {name: difference(photo) for name, photo in files(PICTURES[picture])}

    assert {name: value for name, value in differences.items() if value > TOLERANCE} == {}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF"])
def test_a_photo_with_a_profile_of_its_own_looks_like_the_reference(kind: str, profile: str) -> None:
    size = (301, 200) if kind == "HEIF" else (481, 321)
    picture = in_terms_of(PROFILES[profile], portrait(*size))
    photo = encoded(picture, kind, icc_profile=PROFILES[profile])

    assert difference(photo) <= TOLERANCE


@pytest.mark.parametrize("profile", PROFILES)
def test_a_photo_looks_the_same_whatever_colour_space_its_camera_uses(profile: str) -> None:
    picture = portrait(481, 321)
    photo = encoded(in_terms_of(PROFILES[profile], picture), "PNG", icc_profile=PROFILES[profile])

    assert (
        np.abs(squish(photo, side=SIDE) - reference.square(encoded(picture, "PNG"), SIDE)).mean() <= TOLERANCE
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("mode", ["RGBA", "P", "L"])
def test_transparent_photos_palettes_and_greys_may_have_a_coloured_profile(mode: str, profile: str) -> None:
    picture = in_terms_of(PROFILES[profile], portrait(481, 321))
    picture = {"RGBA": veiled(picture), "P": picture.quantize(256), "L": picture.convert("L")}[mode]

    assert difference(encoded(picture, "PNG", icc_profile=PROFILES[profile])) <= TOLERANCE


def test_a_grey_photo_with_a_grey_profile_looks_like_the_reference() -> None:
    grey = portrait(481, 321).convert("L")

    assert difference(encoded(grey, "JPEG", icc_profile=profiles.grey())) <= TOLERANCE
    assert difference(encoded(veiled(grey).convert("LA"), "PNG", icc_profile=profiles.grey())) <= TOLERANCE


def test_a_photo_for_the_press_looks_like_the_reference() -> None:
    cyan, magenta, yellow = ImageOps.invert(portrait(481, 321)).split()
    black = ImageChops.darker(cyan, ImageChops.darker(magenta, yellow)).point(lambda level: level // 2)
    inks = Image.merge("CMYK", (cyan, magenta, yellow, black))

    assert difference(encoded(inks, "JPEG", icc_profile=profiles.press())) <= TOLERANCE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_turned_photo_looks_like_the_reference(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[reference.ORIENTATION] = orientation

    assert difference(encoded(portrait(301, 200), kind, exif=exif.tobytes())) <= TOLERANCE


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (900, 1), (3, 2), (63, 64), (65, 1000), (129, 128), (2000, 40)]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photo_of_any_shape_looks_like_the_reference(kind: str, size: tuple[int, int]) -> None:
    assert difference(encoded(portrait(*size), kind)) <= TOLERANCE


def test_the_reference_would_notice_a_photo_that_is_one_pixel_off() -> None:
    picture = portrait(481, 321)
    moved = picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, 13, 0, 1, 0))

    assert (
        np.abs(squish(encoded(moved), side=SIDE) - reference.square(encoded(picture), SIDE)).mean()
        > TOLERANCE
    )
