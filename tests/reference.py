"""What a photo's square should be: slow, in floating point, at full size, by other ways than ours."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Floats = NDArray[np.float64]

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
ORIENTATION = 0x0112


def square(photo: bytes, side: int) -> Floats:
    """RGB values 0-255, shape (side, side, 3)."""
    image = Image.open(BytesIO(photo))
    orientation = image.getexif().get(ORIENTATION, 1)
    rgb, alpha = _colours(image)
    flat = rgb * alpha + 255 * (1 - alpha)
    return _resized(upright(flat, orientation), side)


def _colours(image: Image.Image) -> tuple[Floats, Floats]:
    """Colours 0-255 in sRGB, shape (height, width, 3), and coverage 0-1, shape (height, width, 1)."""
    profile = image.info.get("icc_profile")
    if image.mode == "I;16":
        grey = np.asarray(image).astype(np.float64) / 257
        return np.repeat(grey[..., np.newaxis], 3, axis=2), np.ones((*grey.shape, 1))
    solid = image.convert("RGBA")
    alpha = np.asarray(solid)[..., 3:] / 255
    plain = solid.convert("RGB")
    if profile:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        mode = {"GRAY": "L", "CMYK": "CMYK"}.get(source.profile.xcolor_space.strip(), "RGB")
        plain = translated(plain if mode == "RGB" else image.convert(mode), source, SRGB, "RGB")
    return np.asarray(plain.convert("RGB")).astype(np.float64), alpha


def translated(
    image: Image.Image, source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str
) -> Image.Image:
    """The same colours in the terms of another profile."""
    converted = ImageCms.profileToProfile(image, source, target, outputMode=mode)
    assert converted
    return converted


def upright(pixels: Floats, orientation: int) -> Floats:
    """Undo an EXIF orientation: where the stored first row and first column belong."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _resized(pixels: Floats, side: int) -> Floats:
    height, width, _ = pixels.shape
    columns = np.tensordot(_weights(height, side), pixels, axes=(1, 0))
    return np.tensordot(columns, _weights(width, side), axes=(1, 1)).transpose(0, 2, 1).clip(0, 255)


def _weights(source: int, target: int) -> Floats:
    """Catmull-Rom, as wide as the step from one target pixel to the next."""
    scale = max(source / target, 1)
    centres = (np.arange(target) + 0.5) * source / target
    distance = np.abs(np.arange(source) + 0.5 - centres[:, np.newaxis]) / scale
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance < 1, near, np.where(distance < 2, far, 0))
    shares: Floats = weights / weights.sum(axis=1, keepdims=True)
    return shares
