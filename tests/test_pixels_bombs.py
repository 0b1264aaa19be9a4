from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from PIL import Image

from model.pixels import PhotoRejected, squish
from tests import bombs
from tests.photos import encoded

RED, BLACK = [255, 0, 0], [0, 0, 0]


def fault(photo: bytes) -> str:
    with pytest.raises(PhotoRejected) as refusal:
        squish(photo, side=32)
    return refusal.value.fault


def seconds(photo: bytes) -> float:
    begin = process_time()
    squish(photo, side=32)
    return process_time() - begin


def test_64_megapixels_in_20_kilobytes_are_refused_by_their_size() -> None:
    photo = bombs.flat_png(8000, 8000)

    assert len(photo) < 20_000
    assert fault(photo) == "too_many_pixels"


def test_40_megapixels_in_20_kilobytes_are_a_photo_like_any_other() -> None:
    photo = bombs.flat_png(6300, 6300)

    assert len(photo) < 20_000
    assert squish(photo, side=32).max() == 0


@pytest.mark.parametrize("size", [(1, 1_000_000), (1_000_000, 1)])
def test_a_photo_may_be_as_thin_as_it_likes(size: tuple[int, int]) -> None:
    assert squish(bombs.flat_png(*size), side=32).max() == 0


def test_an_interlaced_photo_is_a_photo() -> None:
    assert squish(bombs.flat_png(63, 63, depth=8, interlaced=True), side=32).max() == 0


@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_a_photo_whose_comment_inflates_to_a_hundred_megabytes_is_damaged(kind: str) -> None:
    assert fault(bombs.text_bomb(kind)) == "damaged"


def test_a_photo_with_thousands_of_profiles_is_refused_before_they_are_inflated() -> None:
    assert fault(bombs.profile_flood()) == "too_costly"


def test_a_jpeg_of_millions_of_segments_is_refused_before_they_are_read() -> None:
    assert fault(bombs.segment_flood()) == "too_costly"


def test_a_jpeg_of_more_scans_than_any_encoder_makes_is_refused_by_their_number() -> None:
    with pytest.raises(PhotoRejected, match="of 51 scans, limit is 50") as refusal:
        squish(bombs.scan_flood(51, 64), side=32)

    assert refusal.value.fault == "too_costly"


def test_a_jpeg_of_as_many_scans_as_are_allowed_is_a_photo() -> None:
    assert squish(bombs.scan_flood(50, 64), side=32).std() == 0


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF"])
def test_of_an_animation_only_the_first_frame_is_decoded(kind: str) -> None:
    long = bombs.film(kind, 400)

    assert np.abs(squish(long, side=8)[4, 4].astype(int) - RED).max() <= 3
    # Two frames take about a millisecond; the other 398 would take 50 times as long.
    assert seconds(long) < 10 * seconds(bombs.film(kind, 2)) + 0.005


@pytest.mark.parametrize("photo", [bombs.webp_canvas(), bombs.gif_frame(), bombs.heif_size()])
def test_a_size_that_only_the_header_has_is_refused(photo: bytes) -> None:
    assert len(photo) < 1000
    assert fault(photo) == "too_many_pixels"


def test_a_gif_may_have_a_frame_that_is_larger_than_the_whole() -> None:
    assert fault(bombs.gif_frame(65, 65)) == "damaged"  # after 64x64 pixels
    wide = bombs.gif_frame(32, 128)

    assert squish(wide, side=32).max() == 0


def test_a_webp_that_needs_more_memory_than_there_is_is_refused_by_both_numbers() -> None:
    with pytest.raises(PhotoRejected, match="takes 583 MB to decode, limit is 440 MB") as refusal:
        squish(bombs.webp_canvas(6000, 6000), side=32)

    assert refusal.value.fault == "too_costly"


def test_a_lossless_jpeg_is_refused() -> None:
    assert fault(bombs.lossless_jpeg()) == "damaged"


DECODE = """
import resource, sys
from model.pixels import PhotoRejected, rehearse, squish

rehearse()
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    print(squish(sys.stdin.buffer.read(), side=32).shape)
except PhotoRejected as rejected:
    print(rejected.fault)
"""


def decoded_within(megabytes: int, photo: bytes, repository: Path) -> str:
    command = [sys.executable, "-c", DECODE, str(megabytes)]
    done = subprocess.run(command, cwd=repository, input=photo, capture_output=True, check=True)
    return done.stdout.decode().strip()


def large_photo(kind: str) -> bytes:
    """Of 40 megapixels, 5600x7100, in its largest form."""
    flat = Image.new("RGBA", (5600, 7100), (1, 2, 3, 128))
    match kind:
        case "PNG 16 bits":
            return bombs.flat_png(5600, 7100, depth=16)
        case "PNG palette":
            return encoded(Image.new("P", flat.size), "PNG", compress_level=1)
        case "PNG RGBA":
            return encoded(flat, "PNG", compress_level=1)
        case "GIF":
            return encoded(Image.new("P", flat.size), "GIF")
        case "AVIF":
            return encoded(flat.convert("RGB"), "AVIF", speed=10)
        case _:
            return encoded(flat.convert("CMYK"), progressive=True)


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
@pytest.mark.parametrize("kind", ["PNG RGBA", "PNG 16 bits", "PNG palette", "GIF", "JPEG CMYK", "AVIF"])
def test_forty_megapixels_are_decoded_within_450_megabytes(kind: str, repository: Path) -> None:
    assert decoded_within(450, large_photo(kind), repository) == "(32, 32, 3)"


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux counts it")
@pytest.mark.parametrize(
    ("kind", "height", "megabytes"), [("PNG", 7100, 50), ("AVIF", 7100, 200), ("HEIF", 2700, 20)]
)
def test_a_photo_that_runs_out_of_memory_is_too_costly(
    kind: str, height: int, megabytes: int, repository: Path
) -> None:
    photo = encoded(Image.new("RGB", (5600, height)), kind)

    # Its rehearsal has left the decoder some tens of megabytes more.
    assert decoded_within(megabytes, photo, repository) == "too_costly"
