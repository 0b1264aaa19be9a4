"""Photos for tests: a real one (skimage's astronaut, public domain) and broken ones, as encoded files."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image
from skimage import data

MEGAPIXEL = 1_000_000


@cache
def portrait(width: int = 512, height: int = 512) -> Image.Image:
    """The astronaut Eileen Collins, in front of a flag and a model of the shuttle."""
    return Image.fromarray(data.astronaut()).resize((width, height))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def portrait_jpeg(width: int = 512, height: int = 512) -> bytes:
    return encoded(portrait(width, height), quality=90)


def quadrants() -> Image.Image:
    """Red, green, blue and white quarters, in reading order: shows how a photo was turned."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :32] = 255, 0, 0
    pixels[:32, 32:] = 0, 255, 0
    pixels[32:, :32] = 0, 0, 255
    pixels[32:, 32:] = 255, 255, 255
    return Image.fromarray(pixels)


def rings(width: int = 512, height: int = 512) -> Image.Image:
    """Circles that get finer and finer: what resizing gets wrong first."""
    y, x = np.mgrid[:height, :width]
    waves = np.cos((x * x + y * y) / (2 * max(width, height)))
    return Image.fromarray((127.5 + 127.5 * waves).astype(np.uint8)).convert("RGB")


def veiled(image: Image.Image) -> Image.Image:
    """An image that is more transparent here, less there."""
    y, x = np.mgrid[: image.height, : image.width]
    veil = 128 + 127 * np.sin(x / 40) * np.cos(y / 30)
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray(veil.astype(np.uint8)))
    return image


def huge_png(width: int = 10_000, height: int = 10_000) -> bytes:
    """A PNG that says it has 100 megapixels, in a few hundred bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def moving_gif() -> bytes:
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("white", "black")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
