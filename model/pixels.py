"""A photo's bytes → the upright square that a judge looks at: one definition for training and serving."""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
MAX_MEGAPIXELS = 40

# The limit is checked here, per call, before anything is decoded; Pillow's own is global.
Image.MAX_IMAGE_PIXELS = None

Fault = Literal["empty", "not_a_photo", "damaged", "too_many_pixels"]


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
    Transparency is laid over white; of an animation the first frame counts.

    Args:
        photo: An encoded JPEG, PNG, GIF or WebP file.
        side: Side of the returned square, in pixels.
        max_megapixels: Larger photos are refused before they are decoded.

    Returns:
        RGB values 0-255, uint8, shape (side, side, 3), upright.

    Raises:
        PhotoRejected: The photo is too large, damaged, or no photo at all.
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
        raise PhotoRejected("damaged", f"photo is damaged or cut off ({error}); send it again") from error


def _decode(photo: bytes, side: int, max_megapixels: int) -> Pixels:
    try:
        image = Image.open(BytesIO(photo), formats=FORMATS)
    except UnidentifiedImageError:
        raise PhotoRejected("not_a_photo", f"file is none of {', '.join(FORMATS)}") from None
    width, height = image.size
    megapixels = width * height / 1_000_000
    if megapixels > max_megapixels:
        raise PhotoRejected(
            "too_many_pixels",
            f"photo is {width}x{height} ({megapixels:.0f} MP), limit is {max_megapixels} MP; "
            "send a smaller one (a worker's limit is WORKER_MAX_MEGAPIXELS)",
            megapixels=megapixels,
        )
    # libjpeg scales by 1/2, 1/4 or 1/8 while it decodes, down to twice the target at the least:
    # a 3 MP photo in 20 ms instead of 46.
    image.draft("RGB", (2 * side, 2 * side))
    return np.asarray(_upright(_square(image, side)))


def _square(image: Image.Image, side: int) -> Image.Image:
    """Resize first, and bring to 8-bit RGB what is left: a 40 MP photo has no second copy at full size."""
    if image.mode.startswith(("I", "F")):
        # 16 bits a sample: Pillow clips instead of scaling when it converts.
        levels = np.asarray(_resized(image.convert("F"), side)) / 257
        square = Image.fromarray(levels.clip(0, 255).astype(np.uint8)).convert("RGB")
    elif image.has_transparency_data:
        white = Image.new("RGBA", (side, side), "white")
        square = Image.alpha_composite(white, _resized(image.convert("RGBA"), side)).convert("RGB")
    else:
        square = _resized(image.convert("RGB"), side)
    square.info = image.info
    return square


def _resized(image: Image.Image, side: int) -> Image.Image:
    return image.resize((side, side), Image.Resampling.BICUBIC, reducing_gap=3.0)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    # EXIF is somebody's metadata: when it is damaged, in any way, the photo is still a photo.
    except Exception:
        return image
