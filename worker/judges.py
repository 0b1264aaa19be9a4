"""The judge in use: loaded, watched, swapped for a newer one without a pause, and said in Redis.

    folder ─► a process that tries the newest file ─► loaded beside the old one ─► one reference is replaced

An examination takes the judge once and keeps it to its verdict; the old one's memory goes with the last.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from redis import Redis, RedisError

from bot.judges import Report, Seat, report
from bot.logs import Log
from bot.metrics import SWAPS
from model.engine import Engine
from model.folder import SHADOW
from model.judge import DEFAULT_FILE, Judge, JudgeRefused, Opinions
from model.pixels import Pixels
from model.verification import verify, verify_apart
from worker.settings import NO_JUDGE
from worker.shadow import LOOK_SECONDS, Shadow, show
from worker.shelf import Loaded, Shelf

LOG = Log(__name__)


class Judges:
    """The judge in use, and its shadow. Safe to read from threads.

    Args:
        folder: The judges' folder, WORKER_MODELS; None for none.
        spare: The file that serves where the folder has none that can; None for the one that comes along.
        engine: What they run on.

    Raises:
        JudgeRefused: There is no judge at all.
    """

    def __init__(
        self, folder: Path | None = None, spare: Path | None = None, engine: Engine | None = None
    ) -> None:
        self._spare = spare or DEFAULT_FILE
        self._engine = engine or Engine()
        self._shelf = Shelf(folder, self._load, spare=self._spare)
        self._shadow = Shadow(folder / SHADOW, self._side) if folder else None
        self._shelf.look()
        self._shown: Seat | None = None
        if not self._shelf.loaded:
            reasons = list(self._shelf.refused.values()) or [f"{self._spare}: no such file"]
            raise JudgeRefused(f"{reasons[-1]}; {NO_JUDGE}")
        self._tell("judge loaded")

    @property
    def current(self) -> Judge:
        """The judge in use now. Take it once for all that belongs together."""
        return self._loaded.judge

    def compare(self, judge: Judge, photos: Pixels, opinions: Opinions) -> None:
        """Let the shadow judge see what was judged, when it has time. Never waits, never fails."""
        if self._shadow:
            self._shadow.offer(judge, photos, opinions)

    def watch(self, redis: Redis) -> None:
        """Begin to follow the folder, and to say in Redis which judge is in use."""
        self._every_look("judges' folder", self._look)
        # Apart: trying a large file takes longer than a report may stay away.
        self._every_look("judges' report", lambda: self._report(redis))
        if self._shadow:
            self._shadow.start()

    @property
    def _loaded(self) -> Loaded:
        loaded = self._shelf.loaded
        assert loaded  # there is one from the start, and it is only ever replaced
        return loaded

    def _side(self) -> int:
        return self.current.card.input_size

    def _load(self, file: Path) -> Judge:
        if file != self._spare:
            verify_apart(file, self._engine)
        judge = verify(file, self._engine)
        if judge.card.precision == "int8" and self._engine.provider == "cuda":
            LOG.info("judge in 8 bits", file=str(file), note="on a card, 16 or 32 bits are faster")
        if not (judge.card.parity and judge.card.parity.samples):
            LOG.info("judge without samples", file=str(file), note="its card has none to hold it to")
        return judge

    def _look(self) -> None:
        if self._shelf.look():
            SWAPS.labels("used").inc()
            self._tell("judge swapped")

    def _tell(self, event: str) -> None:
        seat, before = self._loaded.seat, self._shown
        show("current", before, seat)
        self._shown = seat
        came = {"before": str(before)} if before else {}
        engine = self._engine
        how = {"provider": engine.provider, "threads": engine.threads, "calls": engine.calls}
        most = self._loaded.judge.most
        LOG.info(event, name=seat.name, version=seat.version, file=seat.file, **how, batch=most, **came)

    def _report(self, redis: Redis) -> None:
        loaded, shadow = self._loaded, self._shadow
        refused = self._shelf.refused | (shadow.refused if shadow else {})
        words = Report(
            **loaded.seat.model_dump(),
            since=loaded.since,
            shadow=shadow.seat if shadow else None,
            refused=refused,
        )
        with suppress(RedisError):
            report(redis, f"{socket.gethostname()}:{os.getpid()}", words)

    @staticmethod
    def _every_look(name: str, do: Callable[[], None]) -> None:
        def run() -> None:
            while True:
                try:
                    do()
                except Exception:
                    LOG.exception("not looked at", what=name)
                time.sleep(LOOK_SECONDS)

        threading.Thread(target=run, name=name, daemon=True).start()
