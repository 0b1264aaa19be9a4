"""A decoded photo of any size and mode → a small square, without a second copy of the photo."""

from __future__ import annotations

from math import ceil

import numpy as np
from PIL import Image
from PIL.Image import Resampling

# Whole pixels are averaged down to no less than this many times the square, and the rest is resampled.
_GAP = 3
# Pixels of a block's side, more or less. A whole photo of 40 megapixels would take 160 MB more.
_BLOCK = 1024


def squeezed(image: Image.Image, side: int, size: tuple[float, float]) -> Image.Image:
    """Resize a photo to a square.

    Args:
        image: The photo, decoded, of any mode that Pillow's decoders have.
        side: Side of the square, in pixels.
        size: Width and height of the photo in the image, which may end within its last pixels.

    Returns:
        A square of mode L, LA, RGB, RGBA or CMYK.
    """
    across, down = (max(int(length / side / _GAP), 1) for length in size)
    small = _plain(image) if across == down == 1 else _reduced(image, across, down)
    box = (0, 0, size[0] / across, size[1] / down)
    return small.resize((side, side), Resampling.BICUBIC, box=box)


def _reduced(image: Image.Image, across: int, down: int) -> Image.Image:
    """Average `across` times `down` pixels to one, block by block."""
    small: Image.Image | None = None
    width, height = across * ceil(_BLOCK / across), down * ceil(_BLOCK / down)
    for top in range(0, image.height, height):
        for left in range(0, image.width, width):
            right, bottom = min(left + width, image.width), min(top + height, image.height)
            block = _plain(image.crop((left, top, right, bottom))).reduce((across, down))
            small = small or Image.new(block.mode, (ceil(image.width / across), ceil(image.height / down)))
            small.paste(block, (left // across, top // down))
    assert small
    return small


def _plain(image: Image.Image) -> Image.Image:
    """Eight bits a sample and no palette: mode L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I"):
        return _eight_bits(image)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        mode = "LA" if grey else "RGBA"
    else:
        mode = "L" if grey else "CMYK" if image.mode == "CMYK" else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Image.Image) -> Image.Image:
    # Pillow would clip 16 bits to 8 instead of scaling them.
    levels = np.asarray(image)
    grey = Image.fromarray((levels >> 8).astype(np.uint8))
    if (clear := image.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8)))
    return grey
