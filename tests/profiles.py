"""ICC profiles for tests, from their published numbers: of screens, of grey, and of a made-up press."""

from __future__ import annotations

import struct
from itertools import product

import numpy as np
from PIL import ImageCms

XYZ = tuple[float, float, float]

# D50, the white that all profiles refer to.
WHITE: XYZ = (0.9642, 1, 0.8249)


def srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def display_p3() -> bytes:
    """What phones embed: wider primaries than sRGB's, and its curve."""
    levels = np.linspace(0, 1, 1024)
    light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 1024) + (light * 65535).round().astype(">u2").tobytes()
    return _screen((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841), curve)


def adobe_rgb() -> bytes:
    return _screen((0.6097, 0.3111, 0.0195), (0.2053, 0.6257, 0.0609), (0.1492, 0.0632, 0.7446), _gamma(2.2))


def prophoto() -> bytes:
    return _screen((0.7977, 0.2880, 0), (0.1352, 0.7119, 0), (0.0313, 0.0001, 0.8249), _gamma(1.8))


def grey(gamma: float = 1.8) -> bytes:
    return _profile(b"GRAY", b"mntr", b"XYZ ", {b"kTRC": _gamma(gamma)})


def press(steps: int = 9) -> bytes:
    """A made-up press: CMYK → Lab in a table of `steps` steps an ink."""
    shares = [step / (steps - 1) for step in range(steps)]
    table = bytearray()
    for cyan, magenta, yellow, black in product(shares, repeat=4):
        paper = 1 - black
        lightness = 100 * paper * (1 - 0.3 * cyan - 0.35 * magenta - 0.08 * yellow)
        a = paper * (-35 * cyan + 70 * magenta - 5 * yellow)
        b = paper * (-45 * cyan - 5 * magenta + 85 * yellow)
        table += struct.pack(">3H", round(lightness * 652.8), round((a + 128) * 256), round((b + 128) * 256))
    straight = struct.pack(">2H", 0, 65535)
    identity = b"".join(map(_fixed, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    shape = bytes((4, 3, steps, 0)) + identity + struct.pack(">2H", 2, 2)
    to_lab = b"mft2" + bytes(4) + shape + straight * 4 + bytes(table) + straight * 3
    return _profile(b"CMYK", b"prtr", b"Lab ", {b"A2B0": to_lab})


def _screen(red: XYZ, green: XYZ, blue: XYZ, curve: bytes) -> bytes:
    primaries = {b"rXYZ": _xyz(red), b"gXYZ": _xyz(green), b"bXYZ": _xyz(blue)}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"RGB ", b"mntr", b"XYZ ", primaries | curves)


def _profile(space: bytes, kind: bytes, via: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A profile of version 2: header, table of tags, tags (ICC.1:2001-04, section 6)."""
    tags = {b"wtpt": _xyz(WHITE)} | tags
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + struct.pack(">2I", start + len(body), len(tag))
        body += tag + bytes(-len(tag) % 4)
    header = struct.pack(">I4xI4s4s4s", start + len(body), 0x02200000, kind, space, via)
    header += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + b"".join(map(_fixed, WHITE))
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _xyz(value: XYZ) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(_fixed, value))


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))
