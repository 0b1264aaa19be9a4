"""One photo → its pixels, or why there are none, while others are being judged.

    look ──► fetched on the downloader's loop ──► decoded in a thread of the batcher's ──► `then`

A download costs no thread, so that a slow one holds back nobody, and no batch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from bot.logs import Log
from bot.messages import Declined, Photo
from model.pixels import PhotoRejected, Pixels
from worker.decode import Decoders
from worker.download import Download, Downloader, DownloadFailed

LOG = Log(__name__)


@dataclass(frozen=True)
class Look:
    """What came of looking at one photo, and how many seconds that took."""

    found: Pixels | Declined | Exception
    """RGB values 0-255, uint8, shape (side, side, 3); else why there are none, an exception if we failed."""
    download: float = 0.0
    decode: float = 0.0


Then = Callable[[Look], None]


class Looker:
    """Who fetches and who decodes. Safe to call from threads.

    Args:
        downloader: Who fetches.
        decoders: Who decodes.
        do: Has something done in another thread (Batcher.do): decoding, which takes its time.
        photos: Photos that are fetched, waited for or decoded at a time: so many files are in memory.
    """

    def __init__(
        self,
        downloader: Downloader,
        decoders: Decoders,
        do: Callable[[Callable[[], None]], object],
        *,
        photos: int = 64,
    ) -> None:
        self._downloader = downloader
        self._decoders = decoders
        self._do = do
        self._places = photos
        self._waiting: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()

    def look(self, photo: Photo, side: int, then: Then) -> None:
        """Fetch and decode one photo, whose bytes are gone after that.

        Args:
            photo: Which one.
            side: Of the square it becomes, in pixels.
            then: Gets what came of it, once, in another thread or at once; it must not raise.
        """
        if not photo.url:
            then(Look(_unseen(photo)))
            return
        # Whatever another thread logs is about the same mention.
        context = copy_context()

        def done(look: Look) -> None:
            self._leave()
            then(look)

        self._enter(lambda: context.run(self._fetch, str(photo.url), side, done))

    def _enter(self, begin: Callable[[], None]) -> None:
        """Begin with a photo as soon as there is a place for its file."""
        with self._lock:
            if not self._places:
                self._waiting.append(begin)
                return
            self._places -= 1
        begin()

    def _leave(self) -> None:
        with self._lock:
            if not self._waiting:
                self._places += 1
                return
            begin = self._waiting.popleft()
        begin()

    def _fetch(self, url: str, side: int, then: Then) -> None:
        begin = perf_counter()
        context = copy_context()

        def fetched(download: Future[Download]) -> None:
            seconds = perf_counter() - begin
            try:
                file = download.result().body
            except DownloadFailed as failed:
                declined = Declined(reason=failed.fault, value=failed.value, limit=failed.limit)
                then(Look(declined, seconds))
            except Exception as error:
                then(Look(error, seconds))
            else:
                self._do(partial(context.run, self._decoded, file, side, seconds, then))

        self._downloader.begin(url).add_done_callback(fetched)

    def _decoded(self, file: bytes | bytearray, side: int, download: float, then: Then) -> None:
        begin = perf_counter()
        found: Pixels | Declined | Exception
        try:
            found = self._decoders.squish(file, side=side)
        except PhotoRejected as rejected:
            limit = self._decoders.limits.megapixels if rejected.megapixels else None
            found = Declined(reason=rejected.fault, value=rejected.megapixels, limit=limit)
        except Exception as error:
            found = error
        then(Look(found, download, perf_counter() - begin))


def _unseen(photo: Photo) -> Declined:
    match photo.medium:
        case "video" | "audio":
            return Declined(reason=photo.medium)
        case _:
            return Declined(reason="unreachable")
