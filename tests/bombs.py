"""Photos made to hurt: small files, made in milliseconds, that are large, slow or deep to decode."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests.photos import encoded

Maker = Callable[[], bytes]


def flat_png(width: int, height: int, *, depth: int = 2, interlaced: bool = False) -> bytes:
    """A black PNG: 8000x8000 pixels of 2 bits are 16 kB. An interlaced one holds more rows than it needs."""
    rows = height * (1 + -(-width * depth // 8)) * (2 if interlaced else 1)
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
    return _png(_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(bytes(rows), 9)))


def text_bomb(kind: str = "zTXt", megabytes: int = 100) -> bytes:
    """A good PNG with a comment (zTXt, iTXt) or a profile (iCCP) that inflates to megabytes."""
    prefix = {"zTXt": b"a\0\0", "iTXt": b"a\0\1\0\0\0", "iCCP": b"a\0\0"}[kind]
    return _beside(_chunk(kind.encode(), prefix + _inflatable(megabytes)))


def profile_flood(count: int = 9000) -> bytes:
    """A good PNG with thousands of profiles that inflate to a megabyte each, just within Pillow's limit."""
    return _beside(_chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(1_000_000), 9)) * count)


def chunk_flood(count: int = 800_000) -> bytes:
    """A good PNG among chunks that are empty and unknown."""
    return _beside(_chunk(b"abCd", b"") * count)


def segment_flood(count: int = 2_400_000) -> bytes:
    """A good JPEG behind application segments that are empty."""
    photo = encoded(Image.new("RGB", (64, 64)))
    return photo[:2] + b"\xff\xe5\0\2" * count + photo[2:]


def scan_flood(scans: int = 1000, side: int = 1000) -> bytes:
    """A progressive JPEG whose last scan comes again and again; one that changes nothing has 70 bytes."""
    photo = encoded(Image.new("RGB", (side, side), "grey"), progressive=True)
    last = photo[photo.rindex(b"\xff\xda") : -2]
    return photo[:-2] + last * (scans - photo.count(b"\xff\xda")) + b"\xff\xd9"


def film(kind: str, frames: int = 400, side: int = 64) -> bytes:
    """An animation of GIF, WEBP, PNG or AVIF: red first, then ever more blue."""
    pictures = [Image.new("RGB", (side, side), (0, 0, frame % 256)) for frame in range(1, frames)]
    options = {"AVIF": {"speed": 10, "max_threads": 1}, "WEBP": {"method": 0}}.get(kind, {})
    red = Image.new("RGB", (side, side), "red")
    return encoded(red, kind, save_all=True, append_images=pictures, duration=40, **options)


def webp_canvas(width: int = 1 << 24, height: int = 1 << 24) -> bytes:
    """A WebP of one pixel whose canvas is, by its header, 281 terapixels."""
    pixel = encoded(Image.new("RGB", (1, 1)), "WEBP")[12:]
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + b"VP8X" + struct.pack("<I", 10) + bytes(4) + size + pixel
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_frame(width: int = 60_000, height: int = 60_000) -> bytes:
    """A GIF of 64x64 pixels whose first frame is, by its header, 3600 megapixels."""
    photo = encoded(Image.new("RGB", (64, 64)), "GIF")
    at = photo.rindex(b"\x2c\0\0\0\0" + struct.pack("<HH", 64, 64))
    return photo[: at + 5] + struct.pack("<HH", width, height) + photo[at + 9 :]


def heif_size(width: int = 32_000, height: int = 32_000) -> bytes:
    """A HEIC of 64x64 pixels that is, by its header, 1024 megapixels."""
    photo = encoded(Image.new("RGB", (64, 64)), "HEIF")
    return photo.replace(struct.pack(">II", 64, 64), struct.pack(">II", width, height))


def lossless_jpeg(side: int = 1000) -> bytes:
    """A JPEG of the lossless kind, that cameras for medicine write and browsers don't open: all grey."""
    frame = b"\xff\xc3" + struct.pack(">HBHHB3B", 11, 8, side, side, 1, 1, 0x11, 0)
    table = b"\xff\xc4" + struct.pack(">HB", 20, 0) + bytes([1] + [0] * 15) + b"\0"
    scan = b"\xff\xda" + struct.pack(">HB2B3B", 8, 1, 1, 0, 1, 0, 0)
    return b"\xff\xd8" + frame + table + scan + bytes(side * side // 8) + b"\xff\xd9"


BOMBS: dict[str, Maker] = {
    "pixels": lambda: flat_png(8000, 8000),
    "many pixels": lambda: flat_png(6300, 6300),
    "interlaced pixels": lambda: flat_png(6300, 6300, depth=8, interlaced=True),
    "a sliver": lambda: flat_png(1, 40_000_000, depth=1),
    "a thread": lambda: flat_png(40_000_000, 1, depth=1),
    "zTXt": lambda: text_bomb("zTXt"),
    "iTXt": lambda: text_bomb("iTXt"),
    "iCCP": lambda: text_bomb("iCCP"),
    "profiles": profile_flood,
    "chunks": chunk_flood,
    "segments": segment_flood,
    "scans": scan_flood,
    "scans within the limit": lambda: scan_flood(50, 6300),
    "GIF frames": lambda: film("GIF"),
    "WebP frames": lambda: film("WEBP"),
    "PNG frames": lambda: film("PNG"),
    "AVIF frames": lambda: film("AVIF"),
    "WebP canvas": webp_canvas,
    "GIF frame": gif_frame,
    "HEIC size": heif_size,
    "lossless JPEG": lossless_jpeg,
}
"""Name → maker, for a benchmark of the sandbox: some of these only a limit of time or memory ends."""


def _inflatable(megabytes: int) -> bytes:
    """A zlib stream of zeros, one megabyte compressed once; its checksum is wrong."""
    packer = zlib.compressobj(9)
    megabyte = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return megabyte[:2] + megabyte[2:] * megabytes + packer.flush()


def _beside(chunks: bytes) -> bytes:
    photo = encoded(Image.new("RGB", (64, 64)), "PNG")
    return photo[:33] + chunks + photo[33:]


def _png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + _chunk(b"IEND", b"")


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
