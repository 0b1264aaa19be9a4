"""Requests and responses over one connection to a server, in HTTP/1.1 as h11 understands it.

httpcore has h11 take each body apart too, in ten pieces with a dozen calls each: a millisecond a photo. Here
h11 reads heads, and bodies in chunks; a body of known length goes past it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from typing import Any, NamedTuple

import h11

from worker.dialler import Dialler
from worker.tls import AnyWire, SecureWire
from worker.wire import MAX_HEAD_BYTES

KEPT_SECONDS = 4  # less than the 5 after which many servers hang up themselves
# Of a body, as much is made room for at a time: what a server announces need not come.
PART_BYTES = 1 << 20

Header = tuple[bytes, bytes]


class Origin(NamedTuple):
    """A server, as far as connections to it serve each other's requests."""

    scheme: str
    host: str
    port: int


class Connection:
    """One connection, for one request after the other. The first one dials.

    Args:
        origin: The server.
        ssl_context: For TLS.
        dialler: Who dials.
    """

    def __init__(self, origin: Origin, ssl_context: SSLContext, dialler: Dialler) -> None:
        self.origin = origin
        self._ssl_context = ssl_context
        self._dialler = dialler
        self._wire: AnyWire | None = None
        self._rests_until = 0.0

    @property
    def is_available(self) -> bool:
        """Whether the last response was read to its end, and another one may follow."""
        return self._rests_until > 0

    @property
    def has_expired(self) -> bool:
        """Whether it has rested for so long that its server may hang up any moment."""
        return time.monotonic() > self._rests_until

    @property
    def is_broken(self) -> bool:
        """Whether its server has hung up, or spoken unasked."""
        return self._wire is None or self._wire.is_broken

    async def ask(self, target: bytes, headers: Sequence[Header]) -> Response:
        """Send a GET, and wait for the head of the response.

        Raises:
            h11.RemoteProtocolError: It makes no sense.
            OSError: There is none.
        """
        self._rests_until = 0
        wire = self._wire or await self._dial()
        talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        request = h11.Request(method=b"GET", target=target, headers=list(headers))
        wire.write((talk.send(request) or b"") + (talk.send(h11.EndOfMessage()) or b""))
        while not isinstance(event := await _event(talk, wire), h11.Response):
            pass  # 100 Continue, 103 Early Hints
        return Response(event.status_code, event.headers.raw_items(), wire, talk, self)

    def rest(self) -> None:
        """Be kept for the next request."""
        self._rests_until = time.monotonic() + KEPT_SECONDS

    def hang_up(self) -> None:
        """End it."""
        self._rests_until = 0
        if self._wire:
            self._wire.hang_up()

    async def _dial(self) -> AnyWire:
        wire = self._wire = await self._dialler.connect(self.origin.host, self.origin.port)
        if self.origin.scheme == "https":
            self._wire = secured = SecureWire(wire, self._ssl_context, self.origin.host)
            await secured.shake_hands()
        return self._wire


@dataclass(frozen=True)
class Response:
    """The head of a response, and the way to its body."""

    status: int
    headers: Sequence[Header]
    wire: AnyWire
    """Where it comes from."""
    talk: h11.Connection
    connection: Connection

    async def body(self, most: int) -> AsyncIterator[bytes | bytearray]:
        """Its parts, as they come, up to the one with which they are more than so many bytes.

        Raises:
            h11.RemoteProtocolError: It makes no sense.
            ConnectionError: It ends before its end.
        """
        names = {name.lower(): value for name, value in self.headers}
        # That there is only one length, and that it is one, h11 has seen to.
        if self.status == 200 and b"content-length" in names and b"transfer-encoding" not in names:
            length, (begun, _) = int(names[b"content-length"]), self.talk.trailing_data
            is_over = self.talk.our_state is h11.DONE and len(begun) <= length <= most
            length = min(length, most + 1)
            async for room in self._whole(length, begun[:length]):
                yield room
        else:
            async for part in self._apart():
                yield part
            is_over = self.talk.our_state is self.talk.their_state is h11.DONE
            is_over = is_over and not self.talk.trailing_data[0]
        # What was to close the connection, or said more than it had announced, is the last one.
        if is_over:
            self.connection.rest()

    async def _whole(self, length: int, begun: bytes) -> AsyncIterator[bytearray]:
        while length:
            part = bytearray(min(length, PART_BYTES))
            part[: len(begun)] = begun
            await self.wire.fill(memoryview(part)[len(begun) :])
            yield part
            length, begun = length - len(part), b""

    async def _apart(self) -> AsyncIterator[bytes]:
        while not isinstance(event := await _event(self.talk, self.wire), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                yield bytes(event.data)


async def _event(talk: h11.Connection, wire: AnyWire) -> Any:
    while (event := talk.next_event()) is h11.NEED_DATA:
        talk.receive_data(await wire.read())
    if isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
        raise h11.RemoteProtocolError("the server hung up, or went on to something else")
    return event
