"""A photo's bytes → the upright square that a judge looks at: one definition for training and serving."""

from __future__ import annotations

import warnings
from collections import Counter
from io import BytesIO
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import (
    AvifImagePlugin,
    Image,
    UnidentifiedImageError,
    WebPImagePlugin,  # noqa: F401  (else Pillow imports all its plugins to find this one)
)
from PIL.Image import Transpose
from pillow_heif import register_heif_opener

from model.colour import in_srgb
from model.headers import SCAN, profiles, segments, webp_size
from model.samples import samples
from model.square import squeezed

Pixels = NDArray[np.uint8]

# AVIF before HEIF: files of both kinds may begin alike, and Pillow's plugin passes on what is not AVIF.
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF")
MAX_MEGAPIXELS = 40
MAX_MEGABYTES = 440
"""Memory that decoding one photo may take. Something else has to hold the decoders to it: a sandbox."""
MAX_SCANS = 50
"""Passes over one JPEG; encoders make 1 to 18. At 40 megapixels each takes 25 ms, even an empty one."""
MAX_SEGMENTS = 2000
"""Pieces of one JPEG; 10 MB in pieces of 64 kB are 160."""
MAX_PROFILES = 8
"""Colour profiles of one PNG, which should have one. Pillow inflates each, to a megabyte."""

# Two canvases and a frame of Pillow's animation decoder, the image that Pillow makes of that, and the rest.
_WEBP_BYTES_A_PIXEL = 17

# The limit is checked here, per call, before anything is decoded; Pillow's own is global.
Image.MAX_IMAGE_PIXELS = None
# A photo gets one core, and HEIF no picture that was put beside the photo.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=0)

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}

Fault = Literal["empty", "not_a_photo", "damaged", "too_many_pixels", "too_costly"]


class PhotoRejected(Exception):
    """A photo that cannot be judged: why, as a word and as a sentence.

    Args:
        fault: The reason.
        message: The reason as a sentence, with the value, the limit and what to do.
        megapixels: The photo's size, where that is the reason.
    """

    def __init__(self, fault: Fault, message: str, *, megapixels: float | None = None) -> None:
        super().__init__(message)
        self.fault: Fault = fault
        self.megapixels = megapixels


def squish(photo: bytes, *, side: int, max_megapixels: int = MAX_MEGAPIXELS) -> Pixels:
    """Decode one photo into the square the judge expects; the aspect ratio is given up on purpose.

    The first @deepselfie did the same: a non-square photo is squeezed, so that all of it is judged.
    Colours are converted to sRGB, transparency is laid over white; of an animation the first frame counts,
    of a HEIF file the primary image.

    Args:
        photo: An encoded JPEG, PNG, GIF, WebP, AVIF or HEIF (HEIC) file.
        side: Side of the returned square, in pixels.
        max_megapixels: Larger photos are refused before they are decoded.

    Returns:
        RGB values 0-255, uint8, shape (side, side, 3), upright.

    Raises:
        PhotoRejected: The photo is too large, too costly, damaged, or no photo at all.
    """
    if not photo:
        raise PhotoRejected("empty", "photo is empty (0 bytes); send it again")
    try:
        with warnings.catch_warnings():
            # Pillow warns about odd metadata, which is no reason to refuse a photo.
            warnings.simplefilter("ignore")
            return _decode(photo, side, max_megapixels)
    except PhotoRejected:
        raise
    # Damaged files make Pillow raise SyntaxError, ValueError, TypeError and struct.error
    # besides OSError, so this one boundary catches Exception.
    except Exception as error:
        # libavif and libheif say it in words only.
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            raise _too_costly(f"needs more than {MAX_MEGABYTES} MB of memory to decode") from error
        raise PhotoRejected(
            "damaged", f"photo is damaged or cut off ({error or type(error).__name__}); send it again"
        ) from error


def rehearse() -> None:
    """Decode one small photo of each kind, whole and cut off.

    After that `squish` opens no file and imports nothing: Pillow loads its parts when it first needs them.
    """
    for photo in samples():
        squish(photo, side=8)
        for cut in (len(photo) // 2, len(photo) - 8):
            try:
                squish(photo[:cut], side=8)
            except PhotoRejected:
                continue


def _decode(photo: bytes, side: int, max_megapixels: int) -> Pixels:
    image = _opened(photo, max_megapixels)
    # libjpeg scales by 1/2, 1/4 or 1/8 while it decodes, down to twice the target at the least:
    # a 3 MP photo in 20 ms instead of 46.
    drafted = image.draft("RGB", (2 * side, 2 * side))
    image.load()
    # Where that scale does not divide the size, the last pixels are partly empty.
    size = drafted[1][2:] if drafted else image.size
    square = in_srgb(squeezed(image, side, size), image.info.get("icc_profile"))
    if square.mode == "RGBA":
        square = Image.alpha_composite(Image.new("RGBA", square.size, "white"), square).convert("RGB")
    turn = _turn(image)
    return np.asarray(square if turn is None else square.transpose(turn))


def _opened(photo: bytes, max_megapixels: int) -> Image.Image:
    """Read a photo's header, and refuse one that is too large."""
    _check_cost(photo, max_megapixels)
    try:
        image = Image.open(BytesIO(photo), formats=FORMATS)
    except UnidentifiedImageError:
        if any(accept and accept(photo[:16]) for _, accept in (Image.OPEN[kind] for kind in FORMATS)):
            raise PhotoRejected("damaged", "photo's header makes no sense; send it again") from None
        raise PhotoRejected("not_a_photo", f"file is none of {', '.join(FORMATS)}") from None
    _check_size(image.size, max_megapixels)
    return image


def _check_cost(photo: bytes, max_megapixels: int) -> None:
    """Refuse what would be costly already to open."""
    if canvas := webp_size(photo):
        _check_size(canvas, max_megapixels)
        megabytes = canvas[0] * canvas[1] * _WEBP_BYTES_A_PIXEL >> 20
        if megabytes > MAX_MEGABYTES:
            raise _too_costly(f"is a WebP that takes {megabytes} MB to decode, limit is {MAX_MEGABYTES} MB")
    if photo.startswith(b"\xff\xd8"):
        found = Counter(islice(segments(photo), MAX_SEGMENTS + 1))
        if found.total() > MAX_SEGMENTS:
            raise _too_costly(f"is a JPEG of more than {MAX_SEGMENTS} segments")
        if found[SCAN] > MAX_SCANS:
            raise _too_costly(f"is a JPEG of {found[SCAN]} scans, limit is {MAX_SCANS}")
    if photo.startswith(b"\x89PNG") and (count := profiles(photo)) > MAX_PROFILES:
        raise _too_costly(f"is a PNG with {count} colour profiles, limit is {MAX_PROFILES}")


def _check_size(size: tuple[int, int], max_megapixels: int) -> None:
    width, height = size
    megapixels = width * height / 1_000_000
    if megapixels > max_megapixels:
        raise PhotoRejected(
            "too_many_pixels",
            f"photo is {width}x{height} ({megapixels:.0f} MP), limit is {max_megapixels} MP; "
            "send a smaller one (a worker's limit is WORKER_MAX_MEGAPIXELS)",
            megapixels=megapixels,
        )


def _too_costly(why: str) -> PhotoRejected:
    return PhotoRejected("too_costly", f"photo {why}; save it as a plain JPEG and send that")


def _turn(image: Image.Image) -> Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    # EXIF is somebody's metadata: when it is damaged, in any way, the photo is still a photo.
    except Exception:
        return None
