"""The program of a decoder: photos in, pixels out, in a process that can do nothing else.

A conversation over one socket, which is file 0, about what lies in memory that both sides see, which is file
1. Once ready it says READY, or else why it is not; then, for each photo that was laid there, a REQUEST comes
in, and an ANSWER goes out: pixels, which lie in its place, or a PhotoRejected as JSON, which follows.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from io import FileIO
from mmap import mmap

import numpy as np

from model.pixels import MAX_MEGABYTES, PhotoRejected, Pixels, rehearse, squish
from worker.confinement import allow_processor_time, confine
from worker.memory import keep_freed

READY = b"!"
REQUEST = struct.Struct("!IIId")
"""Bytes of the photo, side of the square, megapixels and processor seconds that are allowed."""
ANSWER = struct.Struct("!?I")
"""Whether there are pixels, and bytes of them, or of the JSON."""

SOCKET, MEMORY = 0, 1

Squish = Callable[..., Pixels]


def serve(squish: Squish) -> None:
    """Answer until the other side hangs up."""
    socket = FileIO(SOCKET, "r+", closefd=False)
    memory = mmap(MEMORY, 0)
    room = np.frombuffer(memory, np.uint8)
    keep_freed(megabytes=64, of_at_most=32)
    rehearse()
    _close_standard_output()
    try:
        # With what interpreter and codecs have already: less than half a gigabyte.
        confine(megabytes=MAX_MEGABYTES)
    except OSError as error:
        _write(socket, str(error).encode())
        return
    _write(socket, READY)
    while request := _read(socket, REQUEST.size):
        size, side, megapixels, seconds = REQUEST.unpack(request)
        allow_processor_time(seconds)
        try:
            pixels = squish(memory[:size], side=side, max_megapixels=megapixels)
        except PhotoRejected as rejected:
            words = {"fault": rejected.fault, "message": str(rejected), "megapixels": rejected.megapixels}
            refusal = json.dumps(words).encode()
            _write(socket, ANSWER.pack(False, len(refusal)) + refusal)
        else:
            room[: pixels.size] = pixels.reshape(-1)
            _write(socket, ANSWER.pack(True, pixels.size))


def _read(socket: FileIO, size: int) -> bytearray:
    """So many bytes, or none if the other side has hung up."""
    message = bytearray(size)
    view = memoryview(message)
    while view:
        read = socket.readinto(view)
        if not read:
            return bytearray()
        view = view[read:]
    return message


def _write(socket: FileIO, message: bytes) -> None:
    view = memoryview(message)
    while view:
        view = view[socket.write(view) :]


def _close_standard_output() -> None:
    """What a codec or a hostile photo prints goes nowhere."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


if __name__ == "__main__":
    serve(squish)
