"""Which photos to show of a dataset, and small copies of them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from model.evaluation.judged import Judged
from model.pixels import PhotoRejected, squish

SHOWN = 12
SIDE = 144  # pixels


@dataclass(frozen=True)
class Picture:
    """A photo as the judge sees it: a square, without anything that its file told besides."""

    source: str
    """A data URL: it needs no other file."""
    caption: str


def best(judged: Judged) -> list[Picture]:
    """The photos with the highest scores, the best first."""
    return _pictures(judged, np.argsort(-judged.photo_score, kind="stable")[:SHOWN])


def worst(judged: Judged) -> list[Picture]:
    """The photos with the lowest scores, the worst first."""
    return _pictures(judged, np.argsort(judged.photo_score, kind="stable")[:SHOWN])


def mistakes(judged: Judged) -> list[Picture]:
    """The photos whose labels surprised the judge most, and that it was more often wrong than right about."""
    counts = judged.examples.counts()
    surprise = -(counts * np.log(judged.probabilities.clip(1e-9))).sum(1) / counts.sum(1)
    wrong = np.bincount(judged.examples.photo, ~judged.right, len(counts)) > counts.sum(1) / 2
    chosen = np.flatnonzero(wrong)
    return _pictures(judged, chosen[np.argsort(-surprise[chosen], kind="stable")][:SHOWN])


def _pictures(judged: Judged, photos: np.typing.NDArray[np.int64]) -> list[Picture]:
    found = []
    counts = judged.examples.counts()
    for photo in photos.tolist():
        try:
            square = squish(judged.examples.read(photo), side=SIDE)
        # It could be read a minute ago; if it has gone since, the numbers still stand.
        except (OSError, PhotoRejected):
            continue
        found.append(Picture(_data_url(Image.fromarray(square)), _caption(judged, photo, counts[photo])))
    return found


def _caption(judged: Judged, photo: int, counts: np.typing.NDArray[np.float32]) -> str:
    label = int(counts.argmax())
    posts, alike = int(counts.sum()), int(counts[label])
    # No line ends within it: a phone has room for a few letters under a photo.
    share = f"{alike} of {posts} ".replace(" ", "\N{NO-BREAK SPACE}") if posts > 1 else ""
    return f"{judged.photo_score[photo]:.2f} · {share}{judged.labels[label].name}"


def _data_url(image: Image.Image) -> str:
    file = BytesIO()
    image.save(file, "JPEG", quality=80, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
