"""Bytes → pixels, in processes of their own that a hostile photo may have.

    squish ──► a decoder that is free (decoder.py, confined) ──► pixels, or why there are none

Photo and pixels lie in memory that the two share: through a socket, they would be copied four times more.

Decoders are programs started afresh, not forks of the worker: nothing of the worker's memory, environment or
open files is in them. One that crashes, hangs or eats too much costs its photo, and is replaced. One that was
quietly taken over can lie about later photos, until it is replaced after a thousand.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from queue import SimpleQueue

from model.pixels import PhotoRejected, Pixels
from worker.place import MEGABYTE, DecoderBroken, Limits, Place

__all__ = ["DecoderBroken", "Decoders", "Limits"]

# -I: no environment variable and no directory that it happens to be started in leads to other code.
PROGRAM = (sys.executable, "-I", "-m", "worker.decoder")
TOO_LARGE = "photo is a file of {:.1f} MB, limit is {:g} MB; send a smaller one"


class Decoders:
    """Decoders that wait for photos. Safe to call from many threads.

    Args:
        count: How many photos are decoded at a time.
        limits: What each may cost.
        program: What a decoder runs; tests have others.
    """

    def __init__(self, count: int, limits: Limits, program: Sequence[str] = PROGRAM) -> None:
        self.limits = limits
        self._all = [Place(program, limits.megabytes) for _ in range(count)]
        self._free: SimpleQueue[Place] = SimpleQueue()
        for decoder in self._all:
            self._free.put(decoder)

    def squish(self, photo: bytes | bytearray, *, side: int) -> Pixels:
        """Decode one photo, as `model.pixels.squish` does, as soon as a decoder is free.

        Returns:
            RGB values 0-255, uint8, shape (side, side, 3), upright.

        Raises:
            PhotoRejected: The photo is too large, too costly, damaged, or no photo at all.
            DecoderBroken: Decoders cannot be started.
        """
        if len(photo) > self.limits.megabytes * MEGABYTE:
            raise PhotoRejected("too_costly", TOO_LARGE.format(len(photo) / MEGABYTE, self.limits.megabytes))
        decoder = self._free.get()
        try:
            return decoder.squish(photo, side, self.limits)
        finally:
            try:
                # Before anybody needs it, so that nobody waits for it.
                decoder.renew_if_spent()
            finally:
                self._free.put(decoder)

    @property
    def count(self) -> int:
        """How many photos are decoded at a time."""
        return len(self._all)

    @property
    def crashed(self) -> int:
        """How many decoders a photo has ended, or made talk nonsense."""
        return sum(decoder.crashed for decoder in self._all)

    @property
    def overrun(self) -> int:
        """How many decoders had to be ended because a photo took too long."""
        return sum(decoder.overrun for decoder in self._all)

    @property
    def pids(self) -> list[int]:
        """The processes that decode now."""
        return [decoder.process.pid for decoder in self._all if decoder.process]

    def close(self) -> None:
        """End all decoders, each as soon as it is free."""
        for _ in self._all:
            self._free.get().end()
