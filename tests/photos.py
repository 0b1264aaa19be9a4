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


def huge_png(width: int = 10_000, height: int = 10_000) -> bytes:
    """A PNG that says it has 100 megapixels, in a few hundred bytes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def moving_gif() -> bytes:
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("white", "black")]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
