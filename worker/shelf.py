"""A folder of judges under watch: which of its files is loaded, and which are refused and why."""

from __future__ import annotations

import ctypes
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot.judges import Seat
from bot.logs import Log
from bot.metrics import SWAPS
from model.folder import SHADOW, Entry, entries, entry_of
from model.judge import Judge, JudgeRefused

LOG = Log(__name__)

# Of a reason, in a log line and in Redis: ONNX Runtime can be long-winded.
MAX_REASON = 300


@dataclass(frozen=True)
class Loaded:
    """A judge that is in memory, and the file it came from."""

    judge: Judge
    entry: Entry
    since: float
    """Seconds since 1970."""
    chosen: bool
    """It came from the folder; False: it is what serves where the folder has none."""

    @property
    def seat(self) -> Seat:
        """How it is called."""
        card = self.judge.card
        return Seat(
            name=card.name,
            version=card.version,
            file=self.entry.file.name,
            put=self.entry.put if self.chosen else None,
            provider=self.judge.engine.provider,
        )


class Shelf:
    """Watches one folder. Only one thread may look; any may read `loaded` and `refused`.

    Args:
        folder: The folder; None for none, so that the spare serves for good.
        load: Checks a file and loads it, or raises JudgeRefused.
        spare: The file that serves where the folder has none that can.
    """

    def __init__(
        self, folder: Path | None, load: Callable[[Path], Judge], *, spare: Path | None = None
    ) -> None:
        self._folder = folder
        self._load = load
        self._spare = spare
        self._place: tuple[int, int] | None = None
        self._is_away = False
        self._refused: dict[Entry, str] = {}
        self._seen: dict[Path, Entry] | None = None
        self._leaving: list[weakref.ref[Judge]] = []
        self.loaded: Loaded | None = None

    @property
    def refused(self) -> dict[str, str]:
        """The files that are passed over, by name, and why."""
        return {entry.file.name: why for entry, why in self._refused.copy().items()}

    def look(self) -> bool:
        """Look once, and load what ought to be.

        Returns:
            Whether another judge is loaded now, or none any more.
        """
        self._give_memory_back()
        try:
            found = self._list()
        except OSError as error:
            self._note_away(error)
            if self.loaded:
                return False
            found = []
        else:
            self._is_away = False
        is_another = self._take_first(found)
        self._note_older(found)
        return is_another

    def _take_first(self, found: list[Entry]) -> bool:
        spare = entry_of(self._spare) if self._spare else None
        wanted = [*found, spare] if spare else found
        # To be allowed to read a file may be all that was amiss with it.
        as_it_is = {entry: entry.changed for entry in wanted}
        self._refused = {
            entry: why for entry, why in self._refused.items() if as_it_is.get(entry) == entry.changed
        }
        for entry in wanted:
            if self.loaded and self.loaded.entry == entry:
                return False
            if entry not in self._refused:
                if self._try(entry, chosen=entry is not spare):
                    return True
                # A file that is still being copied may have taken the place of a good one: what serves goes
                # on until it has been looked at again.
                if self.loaded:
                    return False
        # The judge whose file is gone serves on if there is no other at all.
        return not self._spare and self.drop()

    def refuse(self, entry: Entry, why: str) -> None:
        """Pass a file over until it changes."""
        self._refused[entry] = why[:MAX_REASON]
        SWAPS.labels("refused").inc()
        LOG.warning("judge refused", file=str(entry.file), reason=why[:MAX_REASON])

    def reconsider(self) -> None:
        """Give every refused file another chance."""
        self._refused = {}

    def drop(self) -> bool:
        """Have no judge; return whether there was one."""
        before, self.loaded = self.loaded, None
        self._leave(before)
        return before is not None

    def _list(self) -> list[Entry]:
        if self._folder is None:
            return []
        place = self._folder.stat()
        found = entries(self._folder)
        if found:
            self._place = (place.st_dev, place.st_ino)
        elif self._place not in {None, (place.st_dev, place.st_ino)}:
            raise FileNotFoundError("it is not the one that had judges in it; is it mounted?")
        return found

    def _note_away(self, error: OSError) -> None:
        if not self._is_away:
            serves = str(self.loaded.seat) if self.loaded else None
            LOG.warning("judges' folder away", folder=str(self._folder), error=str(error), serves=serves)
        self._is_away = True

    def _note_older(self, found: list[Entry]) -> None:
        """Say which files have come with an older date than the one in use, as by `mv` and `cp -p`."""
        seen, self._seen = self._seen, (self._seen or {}) | {entry.file: entry for entry in found}
        used = self.loaded.entry if self.loaded and self.loaded.chosen else None
        if seen is None or used is None:
            return
        shadow = "--shadow " if used.file.parent.name == SHADOW else ""
        for entry in found:
            if entry.turn < used.turn and seen.get(entry.file) != entry:
                to_use = f"deepselfie model use {shadow}{entry.file.name}"
                LOG.info(
                    "judge older than the one in use",
                    file=str(entry.file),
                    dated=entry.dated,
                    used=used.file.name,
                    used_dated=f"{used.dated}, in the future" if used.is_ahead else used.dated,
                    # Now is not late enough to come after the future.
                    to_use=to_use if used.is_ahead else f"{to_use}, or touch it",
                )

    def _try(self, entry: Entry, *, chosen: bool) -> bool:
        try:
            judge = self._load(entry.file)
        # Whatever a file brings about, the judge before it serves.
        except Exception as error:
            if self._is_still(entry):
                why = str(error) if isinstance(error, JudgeRefused) else f"{type(error).__name__}: {error}"
                self.refuse(entry, why)
            return False
        if not self._is_still(entry):
            return False
        before, self.loaded = self.loaded, Loaded(judge, entry, time.time(), chosen)
        self._leave(before)
        return True

    def _leave(self, before: Loaded | None) -> None:
        if before:
            self._leaving.append(weakref.ref(before.judge))

    def _give_memory_back(self) -> None:
        """Tell the system what old judges have left free, once their last examinations are over.

        The allocator would keep it, in pieces that the next judge does not fit into: 10 MB more each swap.
        """
        still = [judge for judge in self._leaving if judge()]
        if len(still) < len(self._leaving) and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):
            trim(0)
        self._leaving = still

    def _is_still(self, entry: Entry) -> bool:
        """Whether the file has been left alone since it was listed; if not, the next look is about it."""
        try:
            return entry_of(entry.file) == entry
        except OSError:
            return False
