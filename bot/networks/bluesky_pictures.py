"""Pictures of a size that Bluesky takes."""

from __future__ import annotations

from io import BytesIO

from bot.logs import Log
from bot.messages import Picture

LOG = Log(__name__)

MAX_PICTURES = 4
MAX_BYTES = 2_000_000
QUALITIES = (90, 80, 70)


def fitted(picture: Picture) -> Picture | None:
    """The picture, as a smaller JPEG if it is too large; None, and a line in the log, if that cannot be."""
    if len(picture.content) <= MAX_BYTES:
        return picture
    try:
        # Not at the top: a reply without pictures, or with small ones, does without Pillow.
        from PIL import Image  # noqa: PLC0415
    except ImportError:
        LOG.error(
            "picture left out",
            bytes=len(picture.content),
            limit=MAX_BYTES,
            help="install pillow, so that it can be made smaller",
        )
        return None
    with Image.open(BytesIO(picture.content)) as opened:
        image = opened.convert("RGB")
    while True:
        for quality in QUALITIES:
            file = BytesIO()
            image.save(file, "JPEG", quality=quality)
            if file.tell() <= MAX_BYTES:
                return picture.model_copy(update={"content": file.getvalue(), "kind": "image/jpeg"})
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)))
