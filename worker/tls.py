"""A wire whose words only one host understands.

asyncio's own TLS, over a protocol with a buffer, loses what a server says just before it hangs up. It does
not count records either, and goes on decrypting while a connection rests.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from worker.wire import KEPT_BYTES, LEAST_COST, Meter, Wire

# Of certificates, before the first request.
MAX_HANDSHAKE_BYTES = 64 << 10
# Read in vain since anything came of it: endless new keys and tickets would cost seconds of CPU.
MAX_VAIN_BYTES = 2 * MAX_HANDSHAKE_BYTES
RECORD_BYTES = 64  # that a record has beside its words, at the most
MAX_RECORD_BYTES = 16 << 10  # of its words

T = TypeVar("T")


class SecureWire:
    """What a Wire is, in TLS. Each record costs something, and so does what is none of the answer.

    Args:
        wire: A connection on which nothing was said yet.
        context: Whom to trust.
        host: Who has to be at the other end.
    """

    def __init__(self, wire: Wire, context: ssl.SSLContext, host: str) -> None:
        self._wire = wire
        self._meter = Meter()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._vain = 0

    @property
    def is_broken(self) -> bool:
        """Whether the server has hung up, or spoken unasked."""
        return self._incoming.pending > 0 or self._tls.pending() > 0 or self._wire.is_broken

    async def shake_hands(self) -> None:
        """Begin, with whoever can prove to be that host.

        Raises:
            OSError: Nobody does.
        """
        self._wire.allow(MAX_HANDSHAKE_BYTES, least=LEAST_COST)
        await self._through(self._tls.do_handshake)

    def write(self, request: bytes) -> None:
        """Send a request, whose answer has its own allowance."""
        self._meter.begin()
        self._vain = 0
        self._tls.write(request)
        self._wire.write(self._outgoing.read())
        # Tickets and the like come before the answer.
        self._wire.allow(MAX_HANDSHAKE_BYTES, least=LEAST_COST)

    def allow(self, size: int, *, least: int) -> None:
        """Let that many more bytes in; what comes at a time now counts as `least` of them at least."""
        self._meter.allow(size, least)
        self._wire.allow(size, least=LEAST_COST)

    async def read(self) -> bytes:
        """What has come, as soon as there is some; nothing once the server has hung up."""
        try:
            part = await self._through(partial(self._tls.read, KEPT_BYTES))
        # Some hang up without a word; how long a body is, its head says.
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        self._came(len(part))
        return part

    async def fill(self, room: memoryview) -> None:
        """Read as many bytes as there is room for."""
        try:
            while room:
                # Less than a record of it may have come already.
                self._wire.wake_at(len(room) - MAX_RECORD_BYTES)
                # A number, where it reads into something; its type says bytes either way.
                size = int(await self._through(partial(self._tls.read, len(room), room)))
                if not size:
                    raise ConnectionError("the server hung up before the end of the body")
                self._came(size)
                room = room[size:]
        finally:
            self._wire.wake_at(1)

    def hang_up(self) -> None:
        """End it at once."""
        self._wire.hang_up()

    def _came(self, size: int) -> None:
        self._meter.charge(size)
        self._vain -= size + RECORD_BYTES

    async def _through(self, step: Callable[[], T]) -> T:
        """Take a step as soon as enough has come for it."""
        while True:
            try:
                taken = step()
            except ssl.SSLWantReadError:
                self._flush()
                await self._receive()
            else:
                self._flush()
                return taken

    async def _receive(self) -> None:
        if self._vain > MAX_VAIN_BYTES:
            raise ConnectionError(f"{self._vain} bytes came of which nothing came") from None
        if part := await self._wire.read():
            self._vain = max(self._vain, 0) + len(part)
            self._incoming.write(part)
        else:
            self._incoming.write_eof()

    def _flush(self) -> None:
        if words := self._outgoing.read():
            self._wire.send(words)


AnyWire = Wire | SecureWire
