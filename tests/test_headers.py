from __future__ import annotations

import pytest
from PIL import Image

from model.headers import SCAN, profiles, segments, webp_size
from tests import bombs
from tests.photos import encoded, portrait
from tests.profiles import display_p3


def scans(jpeg: bytes) -> int:
    return list(segments(jpeg)).count(SCAN)


@pytest.mark.parametrize(("mode", "passes"), [("RGB", 10), ("L", 6), ("CMYK", 18)])
def test_a_progressive_jpeg_is_decoded_in_several_passes(mode: str, passes: int) -> None:
    assert scans(encoded(portrait().convert(mode), progressive=True)) == passes


def test_an_ordinary_jpeg_is_decoded_in_one() -> None:
    assert scans(encoded(portrait())) == 1


def test_what_comes_behind_the_one_pass_of_an_ordinary_jpeg_is_not_read() -> None:
    once = encoded(Image.new("RGB", (64, 64)))

    assert scans(once[:-2] + once[once.rindex(b"\xff\xda") :] * 3) == 1


def test_a_picture_in_the_metadata_or_behind_the_photo_is_no_scan() -> None:
    photo = encoded(portrait(), progressive=True)
    preview = encoded(portrait(64, 64), progressive=True)
    comment = b"\xff\xfe" + (len(preview) + 2).to_bytes(2) + preview

    assert scans(photo[:2] + comment + photo[2:] + preview) == scans(photo)


def test_padding_and_restarts_hide_no_scan() -> None:
    photo = encoded(portrait(), progressive=True, restart_marker_blocks=8)

    assert scans(photo.replace(b"\xff\xda", b"\xff\xff\xff\xda")) == 10


def test_scans_that_are_repeated_are_counted() -> None:
    assert scans(bombs.scan_flood(1000, 64)) == 1000


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"icc_profile": display_p3()}])
def test_a_webps_size_is_known_from_its_header(options: dict[str, object]) -> None:
    assert webp_size(encoded(portrait(301, 200), "WEBP", **options)) == (301, 200)


@pytest.mark.parametrize("file", [b"", b"RIFF", b"RIFF\0\0\0\0WEBPVP8X", encoded(portrait()), bytes(100)])
def test_other_files_have_no_size_of_a_webp(file: bytes) -> None:
    assert webp_size(file) is None


def test_a_pngs_profiles_are_counted() -> None:
    assert profiles(encoded(portrait(), "PNG")) == 0
    assert profiles(encoded(portrait(), "PNG", icc_profile=display_p3())) == 1
    assert profiles(bombs.profile_flood(20)) == 20
