"""A mention's photos → a verdict: download, decode, judge."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from bot.messages import Declined, Judged, Mention, Photo, Verdict
from model.judge import Judge
from model.pixels import PhotoRejected, Pixels
from worker.decode import Decoders
from worker.download import Downloader, DownloadFailed


@dataclass(frozen=True)
class Seconds:
    """How long the steps of one examination took."""

    download: float
    decode: float
    model: float


class Examiner:
    """A loaded judge, and what it takes to put a mention's photos before it. Safe to call from threads."""

    def __init__(self, judge: Judge, downloader: Downloader, decoders: Decoders) -> None:
        self._judge = judge
        self._downloader = downloader
        self._decoders = decoders
        self._model = threading.Lock()

    def examine(self, mention: Mention) -> tuple[Verdict, Seconds]:
        """Look at all photos of a mention; they are judged as one batch."""
        begin = perf_counter()
        files = iter(self._downloader.photos([photo.url for photo in mention.photos if photo.url]))
        downloaded = perf_counter()
        looks = [self._decode(next(files)) if photo.url else _unseen(photo) for photo in mention.photos]
        decoded = perf_counter()
        judged = iter(self._opinions([look for look in looks if isinstance(look, np.ndarray)]))
        seconds = Seconds(downloaded - begin, decoded - downloaded, perf_counter() - decoded)
        opinions = []
        for photo, look in zip(mention.photos, looks, strict=True):
            opinion = look if isinstance(look, Declined) else next(judged)
            if isinstance(opinion, Judged) and photo.medium == "video":
                opinion = opinion.model_copy(update={"from_video": True})
            opinions.append(opinion)
        return self._verdict(*opinions), seconds

    def _verdict(self, *opinions: Judged | Declined) -> Verdict:
        card = self._judge.card
        return Verdict(
            opinions=opinions,
            judge=f"{card.name} {card.version}",
            reference_name=card.reference_name,
            caution=card.caution,
            accuracy=card.accuracy,
        )

    def _decode(self, file: bytes | DownloadFailed) -> Pixels | Declined:
        if isinstance(file, DownloadFailed):
            return Declined(reason=file.fault, value=file.value, limit=file.limit)
        try:
            return self._decoders.squish(file, side=self._judge.card.input_size)
        except PhotoRejected as rejected:
            limit = self._decoders.limits.megapixels if rejected.megapixels else None
            return Declined(reason=rejected.fault, value=rejected.megapixels, limit=limit)

    def _opinions(self, pixels: Sequence[Pixels]) -> list[Judged]:
        if not pixels:
            return []
        # One call of the model has all cores; two at a time would only be in each other's way.
        with self._model:
            opinions = self._judge(np.stack(pixels))
        return [
            Judged(
                score=float(score),
                label=self._judge.label(probabilities),
                percentile=self._judge.card.percentile(float(score)),
            )
            for score, probabilities in zip(opinions.scores, opinions.probabilities, strict=True)
        ]


def _unseen(photo: Photo) -> Declined:
    match photo.medium:
        case "video" | "audio":
            return Declined(reason=photo.medium)
        case _:
            return Declined(reason="unreachable")
