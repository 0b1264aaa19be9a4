"""Bodies as networks bring them: a few kilobytes at a time."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable

import pytest
import trustme

from tests.waiting import eventually
from tests.web import Talk, heard, silence, talker
from worker.tls import AnyWire, SecureWire
from worker.wire import WAKE_BYTES, Wire

PIECE = bytes(range(256)) * 16
PIECES = 256
SIZE = PIECES * len(PIECE)


class Counted(Wire):
    """It counts how often it is woken by what has come."""

    def __init__(self) -> None:
        super().__init__()
        self.times = 0

    def buffer_updated(self, nbytes: int) -> None:
        self.times += 1
        super().buffer_updated(nbytes)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def in_pieces(farewell: bytes = b"") -> Talk:
    """What says its body piece by piece, and something more a while later."""

    def talk(connection: socket.socket) -> None:
        heard(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(PIECES):
            connection.sendall(PIECE)
            time.sleep(0.001)
        time.sleep(0.02)
        connection.sendall(farewell)
        silence(connection)

    return talk


def fetched(port: int, then: Callable[[Counted], Awaitable[None]], context: ssl.SSLContext | None) -> Counted:
    """Who has fetched such a body, and checked it."""

    async def scene() -> Counted:
        loop = asyncio.get_running_loop()
        _, counted = await loop.create_connection(Counted, "127.0.0.1", port)
        wire: AnyWire = counted
        if context:
            wire = secured = SecureWire(counted, context, "photos.example")
            await secured.shake_hands()
        wire.write(b"GET / HTTP/1.1\r\n\r\n")
        wire.allow(SIZE, least=1)
        body = bytearray(SIZE)
        await wire.fill(memoryview(body))
        assert body == PIECE * PIECES
        await then(counted)
        wire.hang_up()
        return counted

    return asyncio.run(scene())


async def nothing(_: Counted) -> None: ...


def test_a_body_in_pieces_wakes_nobody_for_each() -> None:
    with talker(in_pieces()) as port:
        assert fetched(port, nothing, None).times < PIECES / 2


def test_a_body_in_pieces_wakes_nobody_for_each_under_tls_either(authority: trustme.CA) -> None:
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("photos.example").configure_cert(theirs)
    with talker(in_pieces(), theirs) as port:
        assert fetched(port, nothing, ours).times < PIECES / 2


def test_a_single_byte_after_the_body_is_noticed() -> None:
    async def noticed(wire: Counted) -> None:
        assert await asyncio.to_thread(eventually, lambda: wire.is_broken)

    with talker(in_pieces(b"x")) as port:
        fetched(port, noticed, None)


@pytest.mark.parametrize(("room", "mark"), [(1 << 18, WAKE_BYTES), (1 << 14, 1)])
def test_a_connection_that_the_system_holds_little_for_is_read_as_it_comes(room: int, mark: int) -> None:
    async def scene(port: int) -> int:
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            _, wire = await loop.create_connection(Wire, sock=connection)
            wire.wake_at(SIZE)
            found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT)
            wire.hang_up()
            return found

    with talker(silence) as port:
        assert asyncio.run(scene(port)) == mark
