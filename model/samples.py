"""One small photo of each kind, to try the decoders with."""

from __future__ import annotations

from base64 import b64decode
from io import BytesIO

from PIL import Image, ImageCms

# 64x64 grey pixels. The one kind that isn't encoded when it is needed: x265 starts threads.
_HEIF = b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAYNtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAAAAAAA"
    "ADRpbG9jAAAAAERAAAIAAQAAAAABpwABAAAAAAAAABAAAgAAAAABtwABAAAAAAAAACQAAAA4aWluZgAAAAAAAgAAABVpbmZlAgAA"
    "AAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAAwmlwcnAAAACkaXBjbwAAAHhodmNDAQNwAAAA"
    "kAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq"
    "SSmubgIaDAgAAAMAyAAAAwAIQGIAAQAHRAHBcrAiQAAAABRpc3BlAAAAAAAAAEAAAABAAAAAEHBpeGkAAAAAAwgICAAAABZpcG1h"
    "AAAAAAAAAAEAAQOBAgMAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAADxtZGF0AAAADCgBrxOA5s7D4SCrrgAAAAZFeGlmAABN"
    "TQAqAAAACAABARIAAwAAAAEABgAAAAAAAA=="
)


def samples() -> list[bytes]:
    """JPEG, MPO, PNG, GIF, WebP, AVIF and HEIF files, with palettes, transparency, profiles and metadata."""
    grey = Image.linear_gradient("L").resize((32, 32))
    colour = Image.merge("RGB", (grey, grey.transpose(Image.Transpose.ROTATE_90), grey))
    clear = colour.copy()
    clear.putalpha(grey)
    deep = Image.frombytes("I;16", (16, 16), bytes(range(256)) * 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    described = {"exif": exif.tobytes(), "icc_profile": profile}
    return [
        _encoded(colour, "JPEG", **described),
        _encoded(colour, "JPEG", progressive=True),
        _encoded(grey, "JPEG"),
        _encoded(colour.convert("CMYK"), "JPEG"),
        _encoded(colour, "MPO", save_all=True, append_images=[grey]),
        _encoded(clear, "PNG", **described),
        _encoded(colour.quantize(16), "PNG", transparency=0),
        _encoded(deep, "PNG"),
        _encoded(grey.convert("1"), "PNG"),
        _encoded(colour, "GIF", save_all=True, append_images=[grey], comment=b"two frames"),
        _encoded(clear, "WEBP", **described),
        _encoded(clear, "AVIF", max_threads=1, **described),
        _HEIF,
    ]


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
