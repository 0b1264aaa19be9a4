"""One mention that is being looked at: its photos' opinions as they come in, and the verdict at the end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from bot.jobs import Job
from bot.keeper import Hold
from bot.logs import Log, about
from bot.messages import APOLOGY, Declined, Judged, Photo, Verdict
from bot.metrics import observe_mention
from bot.record import Lease
from model.judge import Judge
from worker.batcher import Batcher
from worker.looker import Look

LOG = Log(__name__)

MAX_REASON = 200

Opinion = Judged | Declined | Exception
Looking = Callable[[Photo, int, Callable[[Look], None]], None]


@dataclass(eq=False)
class Case:
    """A mention in hand. Each of its photos is judged as soon as it has been decoded.

    Args:
        job: The job that brought it.
        hold: The lease on it.
        judge: Who judges it: one judge from the size of the squares to the verdict.
        closed: Called once all of its photos have an opinion, in any thread.
    """

    job: Job
    hold: Hold
    judge: Judge
    closed: Callable[[Case], None]
    _opinions: dict[int, Opinion] = field(default_factory=dict)
    _seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("download", "decode", "model"), 0.0)
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def lease(self) -> Lease:
        """The right to judge it."""
        return self.hold.lease

    @property
    def photos(self) -> Sequence[Photo]:
        """What there is to look at."""
        return self.lease.mention.photos

    def open(self, look: Looking, batcher: Batcher) -> None:
        """Begin with all photos at once."""
        if not self.photos:
            self.closed(self)
        with about(self.lease.key):
            for number, photo in enumerate(self.photos):
                look(photo, self.judge.card.input_size, self._looked(number, batcher))

    def _looked(self, number: int, batcher: Batcher) -> Callable[[Look], None]:
        def looked(look: Look) -> None:
            self._took(download=look.download, decode=look.decode)
            if isinstance(look.found, Declined | Exception):
                self._settle(number, look.found)
                return
            begin = perf_counter()

            def judged(opinion: Judged | Exception) -> None:
                self._took(model=perf_counter() - begin)
                self._settle(number, opinion)

            batcher.submit(self.judge, look.found, judged)

        return looked

    def _took(self, **seconds: float) -> None:
        """Of several photos, the slowest counts."""
        with self._lock:
            for step, value in seconds.items():
                self._seconds[step] = max(self._seconds[step], value)

    def _settle(self, number: int, opinion: Opinion) -> None:
        if isinstance(opinion, Judged) and self.photos[number].medium == "video":
            opinion = opinion.model_copy(update={"from_video": True})
        with self._lock:
            self._opinions[number] = opinion
            is_last = len(self._opinions) == len(self.photos)
        if is_last:
            self.closed(self)

    def fields(self) -> dict[str, str | float]:
        """What is to be written into the record, once it is closed."""
        try:
            return self._found()
        # Whatever a photo brings about, its author gets an answer and the next mention gets its turn.
        except Exception as error:
            LOG.error("not judged", key=self.lease.key, error=repr(error))
            # What an error quotes may be anything, and has to fit into a record all the same.
            reason = f"{type(error).__name__}: {error}"[:MAX_REASON].encode(errors="replace").decode()
            return {"verdict": APOLOGY.model_dump_json(), "ends": "failed", "reason": reason}

    def _found(self) -> dict[str, str | float]:
        opinions: list[Judged | Declined] = []
        for number in range(len(self.photos)):
            opinion = self._opinions[number]
            if isinstance(opinion, Exception):
                raise opinion
            opinions.append(opinion)
        verdict = self._verdict(opinions)
        scores = [round(opinion.score, 3) for opinion in verdict.opinions if isinstance(opinion, Judged)]
        declined = [opinion.reason for opinion in verdict.opinions if isinstance(opinion, Declined)]
        LOG.info("judged", key=self.lease.key, scores=scores, declined=declined, **self._seconds)
        observe_mention(verdict.opinions, **self._seconds)
        best = verdict.best
        fields: dict[str, str | float] = {"score": best.score, "label": best.label} if best else {}
        return fields | {"verdict": verdict.model_dump_json()}

    def _verdict(self, opinions: Sequence[Judged | Declined]) -> Verdict:
        card = self.judge.card
        return Verdict(
            opinions=tuple(opinions),
            judge=f"{card.name} {card.version}",
            reference_name=card.reference_name,
            caution=card.caution,
            accuracy=card.accuracy,
        )
