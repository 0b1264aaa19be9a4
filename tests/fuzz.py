"""Damages photos at random and squishes them: what comes out, and whether anything but memory is touched.

A process of its own, since a decoder that crashes takes it along:

    python -m tests.fuzz SEED COUNT
"""

from __future__ import annotations

import json
import random
import struct
import sys
import zlib
from collections import Counter
from time import perf_counter

from PIL import Image

from model.pixels import PhotoRejected, rehearse, squish
from tests.photos import encoded, portrait, veiled
from tests.profiles import display_p3, press

KINDS = ("JPEG", "PNG", "GIF", "WEBP", "AVIF", "HEIF")
# What a sandbox forbids. Python says so before it does it.
TOUCHING = ("open", "import", "os.", "socket.", "subprocess.", "ctypes.", "shutil.", "tempfile.", "glob.")


def originals(kind: str) -> list[bytes]:
    """Good photos of one kind, with all that photos carry."""
    exif = Image.Exif()
    exif[0x0112] = 6
    photo, clear = portrait(96, 64), veiled(portrait(96, 64))
    described: dict[str, object] = {"exif": exif.tobytes(), "icc_profile": display_p3()}
    match kind:
        case "JPEG":
            inks = encoded(photo.convert("CMYK"), icc_profile=press(2))
            two = encoded(photo, "MPO", save_all=True, append_images=[clear.convert("RGB")])
            return [encoded(photo, "JPEG", **described), encoded(photo, progressive=True), inks, two]
        case "PNG":
            film = encoded(clear, "PNG", save_all=True, append_images=[photo.convert("RGBA")])
            return [
                encoded(clear, "PNG", **described),
                encoded(photo.quantize(16), "PNG", transparency=0),
                film,
            ]
        case "GIF":
            return [encoded(photo, "GIF", save_all=True, append_images=[clear], transparency=0)]
        case "WEBP":
            return [encoded(clear, "WEBP", **described), encoded(photo, "WEBP", lossless=True)]
        case "AVIF":
            return [encoded(clear, "AVIF", **described), encoded(photo, "AVIF")]
        case _:
            return [encoded(clear, "HEIF", **described), encoded(photo, "HEIF", tile_size=64)]


def damaged(photo: bytes, chance: random.Random) -> bytes:
    """Flip bits, overwrite, repeat, insert, remove and cut off, often near the beginning."""
    file = bytearray(photo)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(chance.choice((len(file), min(len(file), 600))))
        some = slice(at, at + chance.randrange(1, 24))
        match chance.randrange(6):
            case 0:
                file[at] ^= 1 << chance.randrange(8)
            case 1:
                file[at] = chance.choice((0, 1, 127, 128, 255))
            case 2:
                file[some] = chance.randbytes(len(file[some]))
            case 3:
                file[at:at] = file[some]
            case 4 if len(file) > 100:
                del file[some]
            case _ if chance.random() < 0.2:
                del file[max(at, 1) :]
    return bytes(file)


def checked(png: bytes) -> bytes:
    """A PNG whose checksums are right again, so that what is damaged in it reaches the decoder."""
    at, file = 8, bytearray(png)
    while at + 12 <= len(file):
        end = at + 8 + struct.unpack(">I", file[at : at + 4])[0]
        if end + 4 > len(file):
            break
        file[end : end + 4] = struct.pack(">I", zlib.crc32(file[at + 4 : end]))
        at = end + 4
    return bytes(file)


def main(seed: int, count: int) -> None:
    """Squish `count` damaged photos of each kind."""
    files = {kind: originals(kind) for kind in KINDS}
    rehearse()
    touched: Counter[str] = Counter()
    sys.addaudithook(lambda event, args: touched.update([f"{event} {args}"] * event.startswith(TOUCHING)))
    outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    slowest = 0.0
    for kind in KINDS:
        chance = random.Random(f"{seed} {kind}")
        for _ in range(count):
            photo = damaged(chance.choice(files[kind]), chance)
            photo = checked(photo) if kind == "PNG" and chance.random() < 0.8 else photo
            begin = perf_counter()
            outcomes[kind][outcome(photo)] += 1
            slowest = max(slowest, perf_counter() - begin)
    json.dump({"outcomes": outcomes, "slowest": slowest, "touched": touched}, sys.stdout)


def outcome(photo: bytes) -> str:
    try:
        pixels = squish(photo, side=16)
    except PhotoRejected as rejected:
        return rejected.fault
    assert pixels.shape == (16, 16, 3), pixels.shape
    return "pixels"


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
