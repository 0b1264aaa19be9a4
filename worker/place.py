"""One place for a decoder: the process that fills it, the socket to that, and the memory between the two."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from mmap import mmap
from tempfile import TemporaryFile
from typing import IO, Annotated, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from bot.logs import Log
from bot.metrics import DECODER_CRASHES
from model.pixels import Fault, PhotoRejected, Pixels
from worker.decoder import ANSWER, READY, REQUEST

LOG = Log(__name__)

START_SECONDS = 20
# No pool of threads for linear algebra, which a decoder does not do. Nothing else, and above all no secret.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}
# Codecs fragment and leak; a new decoder takes a quarter of a second, spread over so many photos.
PHOTOS_PER_DECODER = 1000
MAX_REFUSAL_BYTES = 1 << 16
MEGABYTE = 1 << 20
SQUARE_MEGABYTES = 16  # of a square of 2,300 pixels

TOO_COSTLY = "photo took too long or too much memory to open (limit is {seconds:g} s); send a plain JPEG"


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
    megabytes: float = 32
    """The largest file, in units of 2^20 bytes."""


class Place:
    """One place for a decoder.

    Args:
        program: What the decoder runs.
        megabytes: The largest file.
    """

    def __init__(self, program: Sequence[str], megabytes: float) -> None:
        self._program = program
        self._size = int(max(megabytes, SQUARE_MEGABYTES) * MEGABYTE)
        self.crashed = self.overrun = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._start()

    def squish(self, photo: bytes | bytearray, side: int, limits: Limits) -> Pixels:
        """Decode one photo, as Decoders.squish does."""
        if self._has_strayed():
            LOG.warning("decoder lost", error="between two photos")
            self.crashed += 1
            DECODER_CRASHES.inc()
            self.end()
        self._wait_until_ready()
        # Until it has answered, and answered sense, nothing is known of the process.
        self._is_spent = True
        deadline = time.monotonic() + limits.seconds
        try:
            self._memory[: len(photo)] = photo
            request = REQUEST.pack(len(photo), side, limits.megapixels, limits.seconds)
            # There is room for it, unless the decoder left those before it unread.
            self._socket.sendall(request, socket.MSG_DONTWAIT)
            answer = self._answer(side, deadline)
        # What a decoder says that a photo has taken over may be anything.
        except (OSError, ValueError) as error:
            self.overrun += isinstance(error, TimeoutError)
            self.crashed += not isinstance(error, TimeoutError)
            DECODER_CRASHES.inc(not isinstance(error, TimeoutError))
            LOG.warning("decoder lost", error=type(error).__name__, bytes=len(photo))
            raise PhotoRejected("too_costly", TOO_COSTLY.format(seconds=limits.seconds)) from None
        self._photos += 1
        self._is_spent = self._photos >= PHOTOS_PER_DECODER
        if isinstance(answer, _Refusal):
            raise PhotoRejected(answer.fault, answer.message, megapixels=answer.megapixels)
        return answer

    def renew_if_spent(self) -> None:
        """Replace a decoder that has lost its photo, or decoded enough of them."""
        if self._is_spent:
            self.end()
            # Without memory or processes to be had, the next photo tries again, and says so if it fails.
            with contextlib.suppress(OSError):
                self._start()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        if self.process:
            self._socket.close()
            self._memory.close()
            self.process.kill()
            self.process.wait()
            self.process = None

    def _start(self) -> None:
        self._is_ready = self._is_spent = False
        self._photos = 0
        ours, theirs = socket.socketpair()
        with contextlib.ExitStack() as unless_started, theirs, shared(self._size) as file:
            unless_started.enter_context(ours)
            memory = unless_started.enter_context(mmap(file.fileno(), self._size))
            # In a session of its own: Ctrl-C is for the worker, which finishes what it has begun.
            self.process = subprocess.Popen(
                self._program,
                stdin=theirs.fileno(),
                stdout=file.fileno(),
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
            self._socket, self._memory = ours, memory
            self._listening = select.poll()
            self._listening.register(ours, select.POLLIN)
            unless_started.pop_all()

    def _has_strayed(self) -> bool:
        """Whether it ended, or said something that nobody asked for, since it got ready or answered."""
        return self.process is not None and self._is_ready and self._says_something_within(0)

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
        if self._says_something_within(START_SECONDS):
            with contextlib.suppress(OSError):
                words = self._socket.recv(MAX_REFUSAL_BYTES, socket.MSG_DONTWAIT)
        if words != READY:
            why = words.decode(errors="replace") or "see its words above"
            raise DecoderBroken(f"a decoder does not start: {why}")
        self._is_ready = True

    def _answer(self, side: int, deadline: float) -> Pixels | _Refusal:
        is_pixels, size = ANSWER.unpack(self._receive(ANSWER.size, deadline))
        if not is_pixels and size <= MAX_REFUSAL_BYTES:
            return _Refusal.model_validate_json(self._receive(size, deadline))
        if is_pixels and size == side * side * 3:
            return np.frombuffer(self._memory, np.uint8, size).reshape(side, side, 3).copy()
        raise ValueError(f"an answer of {size} bytes is none")

    def _receive(self, size: int, deadline: float) -> bytearray:
        message = bytearray(size)
        view = memoryview(message)
        while view:
            if not self._says_something_within(deadline - time.monotonic()):
                raise TimeoutError("it took too long")
            received = self._socket.recv_into(view, 0, socket.MSG_DONTWAIT)
            if not received:
                raise ConnectionResetError("it ended")
            view = view[received:]
        return message

    def _says_something_within(self, seconds: float) -> bool:
        """Whether there is something to read, or the end of it."""
        return bool(self._listening.poll(max(0, seconds) * 1000))


def shared(size: int) -> IO[bytes]:
    """A file in memory, of that size for good: to read what somebody cut off would end the worker.

    Only on Linux, as are the bars around decoders: elsewhere one that was taken over can do so.
    """
    if sys.platform == "linux":
        file: IO[bytes] = os.fdopen(os.memfd_create("photo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "r+b")
        file.truncate(size)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    else:
        file = TemporaryFile()  # noqa: SIM115  whoever gets it closes it
        file.truncate(size)
    return file
