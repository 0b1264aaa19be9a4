"""A photo's own colours → sRGB, as the ICC profile in its file describes them."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageChops, ImageCms

# Printers have the largest, some hundred kB to 2 MB; those of cameras and phones have 0.5 to 4 kB.
MAX_PROFILE_BYTES = 2 << 20

_SRGB = ImageCms.createProfile("sRGB")

# 125 colours in equal steps: a profile that moves none of them is sRGB by another name.
_STEPS = bytes((0, 64, 128, 192, 255))
_COLOURS = Image.frombytes(
    "RGB", (125, 1), bytes(v for r in _STEPS for g in _STEPS for b in _STEPS for v in (r, g, b))
)


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Bring an image to sRGB.

    Args:
        image: Mode L, RGB or CMYK, or LA or RGBA. To be small: this touches every pixel, and copies.
        profile: What the file says its colours mean. One that is damaged, too large or about other colours
            than the image has is ignored; without one, colours are taken for sRGB.

    Returns:
        An image of the same size, RGB or RGBA.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    image = image.convert(image.mode.removesuffix("A"))
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        image = _converted(image, profile)
    image = image.convert("RGB")
    if alpha:
        image.putalpha(alpha)
    return image


def _converted(image: Image.Image, profile: bytes) -> Image.Image:
    transform = _transform(profile, image.mode)
    if transform is None and image.mode == "L":
        # Grey photos often carry the profile of the coloured one that they were made of.
        image = image.convert("RGB")
        transform = _transform(profile, "RGB")
    return transform.apply(image) if transform else image


# Few, since each hostile photo may bring a profile of its own.
@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None where there is nothing to do, or nothing to be done."""
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
    if mode == "RGB" and _largest(ImageChops.difference(transform.apply(_COLOURS), _COLOURS)) <= 2:
        return None
    return transform


def _largest(image: Image.Image) -> int:
    return max(image.tobytes())
