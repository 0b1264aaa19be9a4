"""What decoding a JPEG into the judge's square costs, by which library, and how far the pixels are off.

The limit is exact: every pixel decoded, then resized as `model.pixels` resizes. The others let libjpeg scale
by 1/2, 1/4 or 1/8 while it decodes, or are other libraries where they are installed (`pip install simplejpeg
pyvips[binary]`). Photos are drawn: smooth shapes with fine grain, as a camera's noise.

    python -m benchmarks.decode [--side S] [--repeats N] [--json]
"""

from __future__ import annotations

import argparse
import importlib
import json
import statistics
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from model.judge import Judge
from model.pixels import Pixels, squish
from model.square import squeezed
from tests.photos import encoded, portrait

SIZES = {"2048 px": (2048, 1536), "12 MP": (4032, 3024)}

Decode = Callable[[bytes, int], Pixels]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--side", type=int, default=0, metavar="S", help="of the square; by default the judge's"
    )
    parser.add_argument("--repeats", type=int, default=15, metavar="N")
    parser.add_argument(
        "--json", action="store_true", help="one JSON object: CPU ms and mean difference (0-255)"
    )
    options = parser.parse_args()
    side = options.side or Judge().card.input_size
    found = {name: measure(photo(*size), side, options.repeats) for name, size in SIZES.items()}
    print(json.dumps(found)) if options.json else show(found, side)


def photo(width: int, height: int) -> bytes:
    """A JPEG as a camera writes it: 4:2:0, with grain that costs bits."""
    grain = np.random.default_rng(7).normal(0, 6, (height, width, 3))
    pixels = (np.asarray(portrait(width, height)) + grain).clip(0, 255).astype(np.uint8)
    return encoded(Image.fromarray(pixels), quality=88)


def measure(file: bytes, side: int, repeats: int) -> dict[str, dict[str, float]]:
    exact = pillow_whole(file, side).astype(int)
    rows = {}
    for name, decode in ways().items():
        decode(file, side)
        times = []
        for _ in range(repeats):
            begin = time.process_time()
            pixels = decode(file, side)
            times.append(time.process_time() - begin)
        rows[name] = {
            "cpu_ms": statistics.median(times) * 1000,
            "difference": float(np.abs(pixels.astype(int) - exact).mean()),
        }
    return rows


def ways() -> dict[str, Decode]:
    """All ways that are installed here."""
    found: dict[str, Decode] = {
        "Pillow, every pixel": pillow_whole,
        "Pillow, draft of 4 sides": lambda file, side: pillow_draft(file, side, 4),
        "Pillow, draft of 2 sides": lambda file, side: pillow_draft(file, side, 2),
        "Pillow, draft of 1.5 sides": lambda file, side: pillow_draft(file, side, 1.5),
        "Pillow, draft of 1 side": lambda file, side: pillow_draft(file, side, 1),
        "model.pixels.squish": lambda file, side: squish(file, side=side),
    }
    if simplejpeg := installed("simplejpeg"):
        found["simplejpeg, 2 sides"] = lambda file, side: simple(simplejpeg, file, side, fast=False)
        found["simplejpeg, 2 sides, fast"] = lambda file, side: simple(simplejpeg, file, side, fast=True)
    if pyvips := installed("pyvips"):
        pyvips.cache_set_max(0)
        found["pyvips, shrink on load"] = lambda file, side: vips(pyvips, file, side)
    return found


def installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError):
        return None


def pillow_whole(file: bytes, side: int) -> Pixels:
    return resized(Image.open(BytesIO(file)).convert("RGB"), side)


def pillow_draft(file: bytes, side: int, sides: float) -> Pixels:
    image, least = Image.open(BytesIO(file)), int(sides * side)
    image.draft("RGB", (least, least))
    return resized(image.convert("RGB"), side)


def resized(image: Image.Image, side: int) -> Pixels:
    return np.asarray(squeezed(image, side, image.size))


def simple(simplejpeg: Any, file: bytes, side: int, *, fast: bool) -> Pixels:
    pixels = simplejpeg.decode_jpeg(
        file, min_height=2 * side, min_width=2 * side, min_factor=1, fastdct=fast, fastupsample=fast
    )
    return resized(Image.fromarray(pixels), side)


def vips(pyvips: Any, file: bytes, side: int) -> Pixels:
    image = pyvips.Image.thumbnail_buffer(file, side, height=side, size="force")
    return np.asarray(image.numpy())


def show(found: dict[str, dict[str, dict[str, float]]], side: int) -> None:
    print(
        f"a JPEG → a square of {side} pixels; CPU, and mean difference of a colour from the exact (0-255)\n"
    )
    print(f"{'':27}" + "".join(f"{name:>24}" for name in found))
    for way in next(iter(found.values())):
        cells = (f"{rows[way]['cpu_ms']:13.1f} ms {rows[way]['difference']:7.2f}" for rows in found.values())
        print(f"{way:27}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
