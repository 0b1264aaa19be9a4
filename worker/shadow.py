"""A judge that is only compared with the one in use: its scores go into metrics, never into a reply.

It has one thread of the lowest priority, which drops photos when it cannot keep up, and keeps none.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue

from bot.judges import Seat
from bot.logs import Log
from bot.metrics import JUDGE, SHADOW_DIFFERENCE, SHADOW_PHOTOS
from model.engine import Engine
from model.judge import Judge, JudgeRefused, Opinions
from model.pixels import Pixels
from model.verification import verify, verify_apart
from worker.shelf import Shelf

LOG = Log(__name__)

LOOK_SECONDS = 2
# Batches that wait, and for how long at the most: photos are not kept for a judge that has no time.
WAITING = 8
WAITING_SECONDS = 10
# So many in a row, and it is given up until its file changes.
FAILURES = 5
LOWEST_PRIORITY = 19


@dataclass(frozen=True)
class _Judged:
    """One batch, and what the judge in use said about it."""

    photos: Pixels
    opinions: Opinions
    labels: list[str]
    at: float


class Shadow:
    """Watches the folder of shadow judges, and compares the one in it with the judge in use.

    Args:
        folder: The folder, which need not exist.
        side: Tells the side of the squares that the judge in use sees, in pixels.
    """

    def __init__(self, folder: Path, side: Callable[[], int]) -> None:
        self._folder = folder
        self._side = side
        self._shelf = Shelf(folder, self._load)
        self._seen_side = 0
        self._shown: Seat | None = None
        self._waiting: Queue[_Judged] = Queue(WAITING)
        self._failures = 0
        self._next_look = 0.0

    @property
    def seat(self) -> Seat | None:
        """The shadow judge that is at work."""
        return self._shown

    @property
    def refused(self) -> dict[str, str]:
        """The files that are passed over, and why."""
        return {f"{self._folder.name}/{name}": why for name, why in self._shelf.refused.items()}

    def start(self) -> None:
        """Begin to watch and compare."""
        threading.Thread(target=self._run, name="shadow judge", daemon=True).start()

    def offer(self, judge: Judge, photos: Pixels, opinions: Opinions) -> None:
        """Have some photos looked at, if there is a shadow judge and it has time."""
        if self._shown is None:
            return
        labels = [judge.label(row) for row in opinions.probabilities]
        try:
            self._waiting.put_nowait(_Judged(photos, opinions, labels, time.monotonic()))
        except Full:
            SHADOW_PHOTOS.labels("dropped").inc(len(photos))

    def turn(self) -> None:
        """Look at the folder, if it is time, and compare the next photos that come until it is again."""
        try:
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + LOOK_SECONDS
                self._look()
            self._compare(self._waiting.get(timeout=max(0.0, self._next_look - time.monotonic())))
        except Empty:
            pass
        except Exception:
            LOG.exception("shadow judge not looked at")

    def _run(self) -> None:
        if sys.platform == "linux":
            # There, of this thread only; those that its judge starts inherit it.
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        while True:
            self.turn()

    def _look(self) -> None:
        if self._may_be_there():
            if self._seen_side != (side := self._side()):
                # What did not fit may fit now, and the other way round.
                self._seen_side = side
                self._shelf.reconsider()
                loaded = self._shelf.loaded
                if loaded and loaded.judge.card.input_size != side:
                    self._shelf.drop()
            self._shelf.look()
        else:
            self._shelf.drop()
        self._show()

    def _may_be_there(self) -> bool:
        try:
            return self._folder.is_dir()
        except OSError:
            # The folder that it is in cannot be read: the shelf says so, once.
            return True

    def _show(self) -> None:
        loaded = self._shelf.loaded
        seat = loaded.seat if loaded else None
        if seat == self._shown:
            return
        show("shadow", self._shown, seat)
        self._shown, self._failures = seat, 0
        LOG.info("shadow judge", judge=str(seat or "none"))

    def _load(self, file: Path) -> Judge:
        card, side = verify_apart(file), self._seen_side
        if card.input_size != side:
            raise JudgeRefused(
                f"{file}: it sees squares of {card.input_size} pixels, the judge in use those of {side}; "
                "take a shadow judge of the same size"
            )
        # One thread, and no card: those are for the answers.
        return verify(file, Engine())

    def _compare(self, judged: _Judged) -> None:
        loaded = self._shelf.loaded
        is_late = time.monotonic() - judged.at > WAITING_SECONDS
        if loaded is None or is_late or judged.photos.shape[1] != loaded.judge.card.input_size:
            SHADOW_PHOTOS.labels("dropped").inc(len(judged.photos))
            return
        judge = loaded.judge
        try:
            found = judge(judged.photos)
        except Exception as error:
            self._failures += 1
            if self._failures >= FAILURES:
                self._shelf.refuse(loaded.entry, f"it failed {FAILURES} times in a row, at last: {error}")
                self._shelf.drop()
                self._show()
            return
        self._failures = 0
        for difference in abs(found.scores - judged.opinions.scores).tolist():
            SHADOW_DIFFERENCE.observe(difference)
        for row, label in zip(found.probabilities, judged.labels, strict=True):
            SHADOW_PHOTOS.labels("same" if judge.label(row) == label else "other").inc()


def show(role: str, before: Seat | None, now: Seat | None) -> None:
    """Tell the metrics which judge has a role."""
    if before:
        JUDGE.remove(role, before.name, before.version, before.file, before.provider)
    if now:
        JUDGE.labels(role, now.name, now.version, now.file, now.provider).set(1)
