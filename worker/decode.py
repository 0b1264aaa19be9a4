"""Bytes → pixels, in processes of their own that a hostile photo may have.

    squish ──► a decoder that is free (decoder.py, confined) ──► pixels, or why there are none

Decoders are programs started afresh, not forks of the worker: nothing of the worker's memory, environment or
open files is in them. One that crashes, hangs or eats too much costs its photo, and is replaced. One that was
quietly taken over can lie about later photos, until it is replaced after a thousand.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from bot.logs import Log
from model.pixels import Fault, PhotoRejected, Pixels
from worker.decoder import ANSWER, READY, REQUEST

LOG = Log(__name__)

# -I: no environment variable and no directory that it happens to be started in leads to other code.
PROGRAM = (sys.executable, "-I", "-m", "worker.decoder")
START_SECONDS = 20
# No pool of threads for linear algebra, which a decoder does not do. Nothing else, and above all no secret.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
# Codecs fragment and leak; a new decoder takes a quarter of a second, spread over so many photos.
PHOTOS_PER_DECODER = 1000

MAX_REFUSAL_BYTES = 1 << 16

TOO_COSTLY = (
    "photo took too long or too much memory to open (limit is {seconds:g} s); send it as a plain JPEG"
)


class DecoderBroken(Exception):
    """A decoder did not even get ready; the message says how it ended."""


class _Refusal(BaseModel):
    """Why a photo has no pixels, as a decoder says it."""

    fault: Fault
    message: str
    megapixels: Annotated[float, Field(gt=0, lt=1e14)] | None = None

    @model_validator(mode="after")
    def _check_size(self) -> Self:
        # A reply is made of it.
        if (self.fault == "too_many_pixels") != (self.megapixels is not None):
            raise ValueError(f"{self.fault} with {self.megapixels} megapixels")
        return self


@dataclass(frozen=True)
class Limits:
    """What one photo may cost."""

    megapixels: float = 40
    seconds: float = 4
    """From handing a photo to a decoder to having its pixels."""


class Decoders:
    """Decoders that wait for photos. Safe to call from many threads.

    Args:
        count: How many photos are decoded at a time.
        limits: What each may cost.
        program: What a decoder runs; tests have others.
    """

    def __init__(self, count: int, limits: Limits, program: Sequence[str] = PROGRAM) -> None:
        self.limits = limits
        self._all = [_Decoder(program) for _ in range(count)]
        self._free: SimpleQueue[_Decoder] = SimpleQueue()
        for decoder in self._all:
            self._free.put(decoder)

    def squish(self, photo: bytes, *, side: int) -> Pixels:
        """Decode one photo, as `model.pixels.squish` does, as soon as a decoder is free.

        Returns:
            RGB values 0-255, uint8, shape (side, side, 3), upright.

        Raises:
            PhotoRejected: The photo is too large, too costly, damaged, or no photo at all.
            DecoderBroken: Decoders cannot be started.
        """
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


class _Decoder:
    """One place for a decoder, the process that fills it, and the socket to that."""

    def __init__(self, program: Sequence[str]) -> None:
        self._program = program
        self.crashed = self.overrun = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._start()

    def squish(self, photo: bytes, side: int, limits: Limits) -> Pixels:
        if self._has_strayed():
            LOG.warning("decoder lost", error="between two photos")
            self.crashed += 1
            self.end()
        self._wait_until_ready()
        # Until it has answered, and answered sense, nothing is known of the process.
        self._is_spent = True
        deadline = time.monotonic() + limits.seconds
        try:
            self._send(REQUEST.pack(len(photo), side, limits.megapixels, limits.seconds), deadline)
            self._send(photo, deadline)
            answer = self._answer(side, deadline)
        # What a decoder says that a photo has taken over may be anything.
        except (OSError, ValueError) as error:
            self.overrun += isinstance(error, TimeoutError)
            self.crashed += not isinstance(error, TimeoutError)
            LOG.warning("decoder lost", error=type(error).__name__, bytes=len(photo))
            raise PhotoRejected("too_costly", TOO_COSTLY.format(seconds=limits.seconds)) from None
        self._photos += 1
        self._is_spent = self._photos >= PHOTOS_PER_DECODER
        if isinstance(answer, _Refusal):
            raise PhotoRejected(answer.fault, answer.message, megapixels=answer.megapixels)
        return answer

    def renew_if_spent(self) -> None:
        if self._is_spent:
            self.end()
            # Without memory or processes to be had, the next photo tries again, and says so if it fails.
            with contextlib.suppress(OSError):
                self._start()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        if self.process:
            self._socket.close()
            self.process.kill()
            self.process.wait()
            self.process = None

    def _start(self) -> None:
        self._is_ready = self._is_spent = False
        self._photos = 0
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as unless_started, theirs:
            unless_started.enter_context(ours)
            # In a session of its own: Ctrl-C is for the worker, which finishes what it has begun.
            self.process = subprocess.Popen(
                self._program, stdin=theirs.fileno(), env=ENVIRONMENT, cwd="/", start_new_session=True
            )
            self._socket = ours
            unless_started.pop_all()

    def _has_strayed(self) -> bool:
        """Whether it ended, or said something that nobody asked for, since it got ready or answered."""
        if self.process is None or not self._is_ready:
            return False
        self._socket.settimeout(0)
        with contextlib.suppress(ConnectionError):
            try:
                self._socket.recv(1, socket.MSG_PEEK)
            except BlockingIOError:
                return False
        return True

    def _wait_until_ready(self) -> None:
        if self.process is None:
            try:
                self._start()
            except OSError as error:
                raise DecoderBroken(f"a decoder cannot be started: {error}") from error
        if self._is_ready:
            return
        self._is_spent = True
        words = b""
        with contextlib.suppress(OSError):
            self._socket.settimeout(START_SECONDS)
            words = self._socket.recv(MAX_REFUSAL_BYTES)
        if words != READY:
            why = words.decode(errors="replace") or "see its words above"
            raise DecoderBroken(f"a decoder does not start: {why}")
        self._is_ready = True

    def _answer(self, side: int, deadline: float) -> Pixels | _Refusal:
        is_pixels, size = ANSWER.unpack(self._receive(ANSWER.size, deadline))
        if not is_pixels and size <= MAX_REFUSAL_BYTES:
            return _Refusal.model_validate_json(self._receive(size, deadline))
        if is_pixels and size == side * side * 3:
            return np.frombuffer(self._receive(size, deadline), np.uint8).reshape(side, side, 3)
        raise ValueError(f"an answer of {size} bytes is none")

    def _send(self, message: bytes, deadline: float) -> None:
        self._socket.settimeout(_seconds_until(deadline))
        self._socket.sendall(message)

    def _receive(self, size: int, deadline: float) -> bytearray:
        message = bytearray(size)
        view = memoryview(message)
        while view:
            self._socket.settimeout(_seconds_until(deadline))
            received = self._socket.recv_into(view)
            if not received:
                raise ConnectionResetError("it ended")
            view = view[received:]
        return message


def _seconds_until(deadline: float) -> float:
    if (seconds := deadline - time.monotonic()) > 0:
        return seconds
    raise TimeoutError("it took too long")
