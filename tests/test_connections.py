from __future__ import annotations

import asyncio
import time

import httpcore
import pytest

from tests.internet import Internet, guarded
from tests.waiting import eventually, open_files
from tests.web import heard, ok, saying, silence, talker
from worker.connections import MAX_KEPT, Connections
from worker.dialler import Dialler


@pytest.fixture
def internet() -> Internet:
    return Internet()


def here(_: str, __: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_that_is_cancelled_at_any_of_its_steps_leaves_nothing_open(scheme: str) -> None:
    async def cancelled_after(steps: int, connections: Connections, url: httpcore.URL) -> None:
        async def ask() -> None:
            async with connections.to(url.origin) as connection, connection.stream("GET", url):
                pass

        asking = asyncio.create_task(ask())
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def scene(url: httpcore.URL) -> None:
        connections = Connections(Dialler(here, httpcore.AnyIOBackend(), private_addresses=True))
        before = open_files()
        for steps in range(100):
            await cancelled_after(steps, connections, url)
        assert await asyncio.to_thread(eventually, lambda: open_files() <= before)

    with talker(silence) as port:
        asyncio.run(scene(httpcore.URL(f"{scheme}://127.0.0.1:{port}/")))


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


def test_a_connection_that_its_server_closed_is_not_used(internet: Internet) -> None:
    with talker(lambda connection: connection.sendall(ok(heard(connection)[:3]))) as port:
        url = internet.host("good.example", port)
        with guarded(internet) as downloader:
            for _ in range(3):
                assert downloader.fetch(url).body == b"GET"
                time.sleep(0.02)
    assert len(internet.dialled) == 3
