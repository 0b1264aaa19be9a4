"""A mention's photos → a verdict: download, decode, judge."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from bot.messages import Declined, Judged, Mention, Photo, Verdict
from model.judge import Judge
from model.pixels import PhotoRejected, Pixels
from worker.decode import Decoders
from worker.download import Downloader, DownloadFailed

# Photos that are fetched or decoded at a time, for each mention that may be in hand: so many are in memory.
PHOTOS_PER_MENTION = 2

Look = Pixels | Declined


@dataclass(frozen=True)
class Seconds:
    """How long the steps of one examination took; of several photos, the slowest."""

    download: float
    decode: float
    model: float


class Examiner:
    """A loaded judge, and what it takes to put a mention's photos before it. Safe to call from threads.

    Args:
        judge: Who judges.
        downloader: Who fetches.
        decoders: Who decodes.
        at_once: How many mentions may be looked at at a time.
    """

    def __init__(self, judge: Judge, downloader: Downloader, decoders: Decoders, *, at_once: int) -> None:
        self._judge = judge
        self._downloader = downloader
        self._decoders = decoders
        self._lookers = ThreadPoolExecutor(PHOTOS_PER_MENTION * at_once, "photo")
        self._model = threading.Lock()

    def examine(self, mention: Mention) -> tuple[Verdict, Seconds]:
        """Look at all photos of a mention at once; they are judged as one batch."""
        looks = list(self._lookers.map(self._look, mention.photos))
        begin = perf_counter()
        judged = iter(self._opinions([look for look, _, _ in looks if isinstance(look, np.ndarray)]))
        seconds = Seconds(
            download=max((download for _, download, _ in looks), default=0.0),
            decode=max((decode for _, _, decode in looks), default=0.0),
            model=perf_counter() - begin,
        )
        opinions = []
        for photo, (look, _, _) in zip(mention.photos, looks, strict=True):
            opinion = look if isinstance(look, Declined) else next(judged)
            if isinstance(opinion, Judged) and photo.medium == "video":
                opinion = opinion.model_copy(update={"from_video": True})
            opinions.append(opinion)
        return self._verdict(*opinions), seconds

    def _look(self, photo: Photo) -> tuple[Look, float, float]:
        """Fetch and decode one photo, whose bytes are gone after that; and how many seconds either took."""
        if not photo.url:
            return _unseen(photo), 0.0, 0.0
        begin = perf_counter()
        try:
            file = self._downloader.fetch(photo.url).body
        except DownloadFailed as failed:
            declined = Declined(reason=failed.fault, value=failed.value, limit=failed.limit)
            return declined, perf_counter() - begin, 0.0
        downloaded = perf_counter()
        return self._decode(file), downloaded - begin, perf_counter() - downloaded

    def _verdict(self, *opinions: Judged | Declined) -> Verdict:
        card = self._judge.card
        return Verdict(
            opinions=opinions,
            judge=f"{card.name} {card.version}",
            reference_name=card.reference_name,
            caution=card.caution,
            accuracy=card.accuracy,
        )

    def _decode(self, file: bytes) -> Look:
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
