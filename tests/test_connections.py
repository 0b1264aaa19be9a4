from __future__ import annotations

import asyncio
import time

import pytest

from tests.internet import Internet, fault, guarded
from tests.waiting import eventually, open_files
from tests.web import heard, ok, saying, silence, talker
from worker.connections import MAX_KEPT, Connections
from worker.dialler import Dialler
from worker.exchange import Origin
from worker.wire import dial

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nphoto\r\n0\r\n\r\n"


@pytest.fixture
def internet() -> Internet:
    return Internet()


def here(_: str, __: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_that_is_cancelled_at_any_of_its_steps_leaves_nothing_open(scheme: str) -> None:
    async def cancelled_after(steps: int, connections: Connections, origin: Origin) -> None:
        async def ask() -> None:
            async with connections.to(origin) as connection:
                await connection.ask(b"/", [(b"Host", b"127.0.0.1")])

        asking = asyncio.create_task(ask())
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def scene(origin: Origin) -> None:
        connections = Connections(Dialler(here, dial, private_addresses=True))
        before = open_files()
        for steps in range(100):
            await cancelled_after(steps, connections, origin)
        assert await asyncio.to_thread(eventually, lambda: open_files() <= before)

    with talker(silence) as port:
        asyncio.run(scene(Origin(scheme, "127.0.0.1", port)))


def test_few_connections_are_kept(internet: Internet) -> None:
    with talker(saying(ok(b"photo"))) as port, guarded(internet) as downloader:
        urls = [internet.host(f"{n}.example", port) for n in range(2 * MAX_KEPT)]
        before = open_files()

        assert set(downloader.photos(urls)) == {b"photo"}
        # Both ends of each are in this process.
        assert eventually(lambda: open_files() <= before + 2 * MAX_KEPT)


def test_a_connection_serves_the_next_photo_of_its_host(internet: Internet) -> None:
    with talker(saying(ok(b"photo"))) as port, guarded(internet) as downloader:
        url = internet.host("good.example", port)

        assert [downloader.fetch(url).body for _ in range(3)] == [b"photo"] * 3
    assert len(internet.dialled) == 1


def test_a_connection_serves_the_next_photo_of_a_host_that_sends_chunks(internet: Internet) -> None:
    with talker(saying(CHUNKED)) as port, guarded(internet) as downloader:
        url = internet.host("good.example", port)

        assert [downloader.fetch(url).body for _ in range(3)] == [b"photo"] * 3
    assert len(internet.dialled) == 1


def test_a_connection_that_its_server_closed_is_not_used(internet: Internet) -> None:
    with talker(lambda connection: connection.sendall(ok(heard(connection)[:3]))) as port:
        url = internet.host("good.example", port)
        with guarded(internet) as downloader:
            for _ in range(3):
                assert downloader.fetch(url).body == b"GET"
                time.sleep(0.02)
    assert len(internet.dialled) == 3


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"photo") + b"and more",
        ok(b"photo").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        ok(b"photo").replace(b"HTTP/1.1", b"HTTP/1.0"),
        CHUNKED + b"HTTP/1.1 200 OK\r\n",
    ],
)
def test_a_connection_is_not_used_again_after_words_too_many_or_a_farewell(
    internet: Internet, answer: bytes
) -> None:
    with talker(saying(answer)) as port, guarded(internet) as downloader:
        url = internet.host("odd.example", port)

        assert [downloader.fetch(url).body for _ in range(2)] == [b"photo"] * 2
    assert len(internet.dialled) == 2


@pytest.mark.parametrize("size", [0, 1, 65_535, 300_000, 1_500_000])
def test_a_body_arrives_whole_over_one_connection_whatever_its_size(internet: Internet, size: int) -> None:
    photo = bytes(range(256)) * (size // 256 + 1)
    with talker(saying(ok(photo[:size]))) as port, guarded(internet) as downloader:
        url = internet.host("good.example", port)

        assert [downloader.fetch(url).body for _ in range(2)] == [photo[:size]] * 2
    assert len(internet.dialled) == 1


def test_what_a_server_says_before_its_answer_is_passed_over(internet: Internet) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"
    with talker(saying(hints * 2 + ok(b"photo"))) as port, guarded(internet) as downloader:
        assert downloader.fetch(internet.host("good.example", port)).body == b"photo"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nphotos",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nphoto",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfive\r\nphoto",
    ],
)
def test_an_answer_that_makes_no_sense_is_none(internet: Internet, answer: bytes) -> None:
    with talker(saying(answer)) as port, guarded(internet) as downloader:
        assert fault(downloader, internet.host("odd.example", port)) == "unreachable"
