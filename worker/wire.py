"""Bytes to and from a server. Those of a photo are read into the memory where they stay.

    dial ──► Wire (──► tls.py) ──► write ──► read, for heads and chunks; fill, for a body

To have each part handed on by itself, as anyio's streams do, is half of what a download costs.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import cast

MAX_HEAD_BYTES = 32 << 10  # of one response, with all that comes before it
# What comes at a time counts as that much at least: single bytes, each in a TLS record of its own, are dear.
LEAST_COST = 32
KEPT_BYTES = 64 << 10
# Of a body, so much is read at a time: a network brings some kilobytes, and to wake the loop for them costs
# as much as to copy a hundred. It has to stay far below what the system holds for a connection: a sender that
# has to wait for each waking never gets to send more at a time.
WAKE_BYTES = 16 << 10
LEAST_BUFFER = 8 * WAKE_BYTES  # which is what Linux begins with


class Meter:
    """How much a server may still say.

    Each request may be answered by MAX_HEAD_BYTES, which endless headers and an endless `100 Continue` soon
    use up; who expects a body then allows for it.
    """

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """A request is sent, whose answer has its own allowance."""
        self._left, self._least = MAX_HEAD_BYTES, LEAST_COST

    def allow(self, size: int, least: int) -> None:
        """Let that many more bytes in; what comes at a time now counts as `least` of them at least."""
        self._left, self._least = self._left + size, least

    def charge(self, size: int) -> None:
        """So many have come at a time.

        Raises:
            ConnectionError: There were too many already.
        """
        if self._left <= 0:
            raise ConnectionError("the server sent more bytes than it was allowed to")
        self._left -= max(size, self._least)


class Wire(asyncio.BufferedProtocol):
    """One connection. It reads no more than its meter lets in, whatever the bytes are.

    Reading raises ConnectionError once the server has said too much or the connection broke.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        # What came while nobody waited for it, or before anybody knew where to put it.
        self._kept = bytearray(KEPT_BYTES)
        self._size = 0
        self._into = memoryview(b"")
        self._wakes_at = self._most_at_once = 1
        self._meter = Meter()
        self._is_paused = self._is_over = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def is_broken(self) -> bool:
        """Whether the server has hung up, or spoken unasked."""
        return self._is_over or self._size > 0 or self._transport.is_closing() or self._is_readable()

    def _is_readable(self) -> bool:
        # What the loop did not get round to yet.
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return bool(poll.poll(0))

    def write(self, request: bytes) -> None:
        """Send a request."""
        self._meter.begin()
        self.send(request)

    def send(self, words: bytes) -> None:
        """Send something that no answer is due to."""
        self._transport.write(words)

    def allow(self, size: int, *, least: int) -> None:
        """Let that many more bytes in; what comes at a time now counts as `least` of them at least."""
        self._meter.allow(size, least)

    async def read(self) -> bytes:
        """What has come, as soon as there is some; nothing once the server has hung up."""
        while not self._size and not self._is_over:
            await self._wait()
        self._check()
        part = bytes(memoryview(self._kept)[: self._size])
        self._keep(b"")
        return part

    async def fill(self, room: memoryview) -> None:
        """Read as many bytes as there is room for."""
        size = min(self._size, len(room))
        room[:size] = memoryview(self._kept)[:size]
        self._keep(self._kept[size : self._size])
        self._into = room[size:]
        try:
            self.wake_at(len(self._into))
            while self._into and not self._is_over:
                await self._wait()
            self._check()
            if self._into:
                raise ConnectionError("the server hung up before the end of the body")
        finally:
            self._into = memoryview(b"")
            self.wake_at(1)

    def wake_at(self, size: int) -> None:
        """Sleep until so many bytes have come, WAKE_BYTES at the most, or until no more will."""
        size = max(1, min(size, self._most_at_once))
        if size != self._wakes_at:
            self._wakes_at = size
            # One that is closed cannot be told, and need not.
            with suppress(OSError):
                self._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_RCVLOWAT, size
                )

    def hang_up(self) -> None:
        """End it at once."""
        self._transport.abort()

    def _keep(self, rest: bytes | bytearray) -> None:
        self._size = len(rest)
        self._kept[: self._size] = rest
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()

    async def _wait(self) -> None:
        """Until something has come, all that is waited for, or nothing will any more."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _check(self) -> None:
        if self._error:
            raise ConnectionError(str(self._error)) from self._error

    # ── what asyncio calls ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)
        held = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._most_at_once = WAKE_BYTES if held >= LEAST_BUFFER else 1

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Where the next bytes go."""
        return self._into or memoryview(self._kept)[self._size :]

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes have come."""
        try:
            self._meter.charge(nbytes)
        except ConnectionError as error:
            self._error = error
            self._transport.abort()
            return
        if self._into:
            self._into = self._into[nbytes:]
            if self._into:
                self.wake_at(len(self._into))
                return
        else:
            self._size += nbytes
            if self._size == KEPT_BYTES:
                self._is_paused = True
                self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The server has hung up; asyncio does so as well."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        self._error = self._error or exc
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter:
            with suppress(asyncio.InvalidStateError):
                self._waiter.set_result(None)


Dial = Callable[[str, int], Awaitable[Wire]]
"""Address, port → a connection. Raises OSError."""


async def dial(address: str, port: int) -> Wire:
    """Open a connection.

    Raises:
        OSError: Nobody answers there.
    """
    _, wire = await asyncio.get_running_loop().create_connection(Wire, address, port)
    return wire
