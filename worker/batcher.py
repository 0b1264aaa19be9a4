"""Photos → as few calls of the model as keep up with them, in threads that decode them as well.

    do ──► a thread that is free makes a photo ready
    submit ──► ready ──► one takes all of one judge's, up to `most` ──► each one's `then`

A photo that comes alone is judged alone, at once, and while the model is busy the next batch grows by itself.
On a CPU, who decoded a photo judges it: with threads for either, two would share a core, and each photo would
change hands once more. Where more wait to be made ready, a few are before all of them are judged: a core that
turns from decoder to model and back for each photo finds little of what it needs in its cache.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic

import numpy as np

from bot.logs import Log
from bot.messages import Judged
from bot.metrics import BATCH_PHOTOS
from model.batches import fitting
from model.engine import Engine
from model.judge import Judge, Opinions
from model.pixels import Pixels

LOG = Log(__name__)

# So long, a photo that is ready waits for others to get ready; then the next thread that is free judges it.
PATIENCE_SECONDS = 0.25

Then = Callable[[Judged | Exception], None]
Work = Callable[[], None]
Watch = Callable[[Judge, Pixels, Opinions], None]


@dataclass(frozen=True)
class _Photo:
    judge: Judge
    pixels: Pixels
    then: Then
    since: float


class Batcher:
    """Threads that make photos ready and call the model, and the photos that wait for it.

    Args:
        calls: How many calls may be under way: on CPUs one a core, on a GPU two (model/engine.py).
        most: Photos in one call.
        threads: How many there are, if not one a call.
        ahead: Photos that are made ready before they are judged, as long as there are more to make ready.
        watch: Sees what was judged: the judge, photos of shape (n, S, S, 3), and their opinions.
    """

    def __init__(
        self, *, calls: int, most: int, threads: int = 0, ahead: int = 0, watch: Watch | None = None
    ) -> None:
        self._most = most
        self._ahead = ahead
        self._is_draining = False
        self._watch = watch
        self._work: deque[Work] = deque()
        self._ready: deque[_Photo] = deque()
        self._changed = threading.Condition()
        self._free = calls
        self._is_open = True
        self._threads = [
            threading.Thread(target=self._serve, name=f"photos {number}", daemon=True)
            for number in range(threads or calls)
        ]
        for thread in self._threads:
            thread.start()

    def do(self, work: Work) -> None:
        """Have something done that makes a photo ready, in one of the threads."""
        with self._changed:
            self._work.append(work)
            self._changed.notify()

    def submit(self, judge: Judge, pixels: Pixels, then: Then) -> None:
        """Have one photo judged.

        Args:
            judge: By whom; only photos with the same one make a batch.
            pixels: The photo, of shape (S, S, 3) for that judge's S.
            then: Gets the opinion, or why there is none, in one of the threads, which it must not hold up.
        """
        with self._changed:
            self._ready.append(_Photo(judge, pixels, then, monotonic()))
            self._changed.notify()

    def close(self) -> None:
        """Do and judge what there is, and end."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        while self._take_step():
            pass

    def _take_step(self) -> bool:
        # What a step holds, a photo's file or a batch, is gone before the next one is waited for.
        step = self._next()
        try:
            if step:
                step()
        # One photo's trouble must not cost all further ones their thread.
        except Exception:
            LOG.exception("a photo was not made ready")
        return step is not None

    def _next(self) -> Work | None:
        """What to do next, as soon as there is something; None at the end."""
        with self._changed:
            while True:
                if self._drains() and self._free:
                    # Whoever else may call gets a share: two calls of four take less time than one of eight.
                    batch = self._pick(-(-len(self._ready) // self._free))
                    self._free -= 1
                    return partial(self._call, batch)
                if self._work:
                    return self._work.popleft()
                if not self._is_open and not self._ready:
                    return None
                self._changed.wait()

    def _drains(self) -> bool:
        """Whether it is the turn of what is ready, which it stays until all of it is judged."""
        if not self._ready:
            self._is_draining = False
        elif not self._work or len(self._ready) >= self._ahead or self._is_late():
            self._is_draining = True
        return self._is_draining

    def _is_late(self) -> bool:
        return monotonic() > self._ready[0].since + PATIENCE_SECONDS

    def _call(self, batch: Sequence[_Photo]) -> None:
        opinions = self._judged(batch)
        with self._changed:
            self._free += 1
            self._changed.notify_all()
        for photo, opinion in zip(batch, opinions, strict=True):
            try:
                photo.then(opinion)
            # Nor must it cost those beside it their opinion.
            except Exception:
                LOG.exception("an opinion was not taken")

    def _pick(self, share: int) -> list[_Photo]:
        """Take up to so many photos of the judge whose turn it is; the others stay in their order."""
        batch: list[_Photo] = []
        others: list[_Photo] = []
        # Only as many as it has been warmed up for.
        limit = self._ready[0].judge.card.max_batch or self._most
        size = fitting(share, min(limit, self._most))
        while self._ready and len(batch) < size:
            photo = self._ready.popleft()
            (batch if not batch or photo.judge is batch[0].judge else others).append(photo)
        self._ready.extendleft(reversed(others))
        return batch

    def _judged(self, batch: Sequence[_Photo]) -> list[Judged | Exception]:
        try:
            return list(self._opinions(batch[0].judge, np.stack([photo.pixels for photo in batch])))
        # ONNX Runtime's errors share no base class but Exception, and a judge may say anything.
        except Exception as error:
            if len(batch) == 1:
                return [error]
            LOG.warning(
                "a batch failed; its photos are judged one by one", photos=len(batch), error=str(error)
            )
            return [opinion for photo in batch for opinion in self._judged([photo])]

    def _opinions(self, judge: Judge, photos: Pixels) -> Iterator[Judged]:
        opinions = judge(photos)
        BATCH_PHOTOS.observe(len(photos))
        if self._watch:
            self._watch(judge, photos, opinions)
        for score, probabilities in zip(opinions.scores, opinions.probabilities, strict=True):
            percentile = judge.card.percentile(float(score))
            yield Judged(score=float(score), label=judge.label(probabilities), percentile=percentile)


def batcher_of(engine: Engine, decoders: int, watch: Watch | None = None) -> Batcher:
    """The batcher that suits an engine beside so many decoders."""
    return Batcher(
        calls=engine.calls,
        most=engine.most,
        threads=engine.threads_beside(decoders),
        ahead=engine.ahead(decoders),
        watch=watch,
    )
