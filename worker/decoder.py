"""The program of a decoder: photos in, pixels out, in a process that can do nothing else.

A conversation over one socket, which is file 0. Once ready it says READY, or else why it is not; then, for
each photo, a REQUEST and the photo come in, and an ANSWER and its body go out: pixels, or a PhotoRejected as
JSON.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys
from collections.abc import Callable
from io import FileIO

from model.pixels import MAX_MEGABYTES, PhotoRejected, Pixels, rehearse, squish
from worker.confinement import MEGABYTE, allow_processor_time, confine

READY = b"!"
REQUEST = struct.Struct("!IIId")
"""Bytes of the photo, side of the square, megapixels and processor seconds that are allowed."""
ANSWER = struct.Struct("!?I")
"""Whether there are pixels, and bytes of the body."""

SOCKET = 0

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

Squish = Callable[..., Pixels]


def serve(squish: Squish) -> None:
    """Answer until the other side hangs up."""
    socket = FileIO(SOCKET, "r+", closefd=False)
    _keep_freed_memory()
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
        photo = bytes(_read(socket, size))
        allow_processor_time(seconds)
        is_pixels, body = _answer(squish, photo, side, megapixels)
        _write(socket, ANSWER.pack(is_pixels, len(body)))
        _write(socket, body)


def _answer(squish: Squish, photo: bytes, side: int, max_megapixels: float) -> tuple[bool, bytes]:
    try:
        return True, squish(photo, side=side, max_megapixels=max_megapixels).tobytes()
    except PhotoRejected as rejected:
        words = {"fault": rejected.fault, "message": str(rejected), "megapixels": rejected.megapixels}
        return False, json.dumps(words).encode()


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


def _keep_freed_memory() -> None:
    """Reuse a photo's memory for the next one, instead of having the kernel clear new pages for each.

    A 2-megapixel JPEG takes 8 ms so, and 11 ms otherwise. Larger blocks still go back at once.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc has it
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * MEGABYTE)
        libc.mallopt(_M_TRIM_THRESHOLD, 64 * MEGABYTE)


def _close_standard_output() -> None:
    """What a codec or a hostile photo prints goes nowhere."""
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)


if __name__ == "__main__":
    serve(squish)
