"""What a file says about the cost of decoding it, read before a decoder sees it."""

from __future__ import annotations

import re
from collections.abc import Iterator

# A marker that ends a stretch of a JPEG's coded data: neither padding nor a restart.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")
_START_OF_IMAGE, _END_OF_IMAGE, SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the others are tables
_PROGRESSIVE = {0xC2, 0xCA}


def segments(jpeg: bytes) -> Iterator[int]:
    """The markers of the segments that libjpeg reads to decode a JPEG; each SCAN is a pass over all of it."""
    at, components, baseline = 2, 0, True
    while marker := _MARKER.search(jpeg, at):
        at, kind = marker.end(), marker[1][0]
        if kind == _END_OF_IMAGE:
            return
        yield kind
        if kind == _START_OF_IMAGE:
            continue
        if kind in _FRAMES:
            components, baseline = _byte(jpeg, at + 7), kind not in _PROGRESSIVE
        # All components at once: libjpeg is done after this scan and reads no further.
        elif kind == SCAN and baseline and _byte(jpeg, at + 2) >= components:
            return
        at += int.from_bytes(jpeg[at : at + 2])


def profiles(png: bytes) -> int:
    """Count a PNG's colour profiles; a good one has one at the most."""
    return png.count(b"iCCP")


def webp_size(webp: bytes) -> tuple[int, int] | None:
    """Width and height of a WebP's canvas in pixels; None where the header makes no sense."""
    kind = webp[12:16]
    if len(webp) < 30 or webp[:4] != b"RIFF" or webp[8:12] != b"WEBP":
        return None
    if kind == b"VP8X":
        return int.from_bytes(webp[24:27], "little") + 1, int.from_bytes(webp[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(webp[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(webp[26:28], "little") & 0x3FFF, int.from_bytes(webp[28:30], "little") & 0x3FFF
    return None


def _byte(file: bytes, at: int) -> int:
    return int.from_bytes(file[at : at + 1])
