"""What safety costs: a photo that is downloaded and decoded under guard next to a plain one.

A 2-megapixel JPEG, from a web server in a process of its own on this machine, fetched in turns by the
worker's downloader and by a plain httpx.AsyncClient in a thread like its own, at once and in packets as a
network brings it; and decoded in turns by Pillow in a confined process, whose processor time counts, and in
this one. All warm.

    python -m benchmarks.guard [--repeats N] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import httpx
import numpy as np

from model.pixels import squish
from tests.photos import encoded, portrait
from tests.web import Talk, heard, ok, saying, talker
from worker import decode
from worker.decode import Decoders
from worker.download import Downloader, DownloadFailed, Limits

WIDTH, HEIGHT = 1632, 1224  # 2 megapixels
QUALITY = 96  # about 0.5 MB
WARM_UP = 20
AT_ONCE = 8
PACKET_BYTES = 2 * 1448  # two of Ethernet's
PACKET_SECONDS = 0.0002
SIDE = 224


@dataclass(frozen=True)
class Cost:
    """Medians of one photo, in milliseconds; CPU is that of all threads, of the decoder's process too."""

    cpu: float
    wall: float


@dataclass(frozen=True)
class Contest:
    """Two ways to do the same."""

    name: str
    plain: Cost
    guarded: Cost

    @property
    def ratio(self) -> float:
        """CPU with the guard over CPU without."""
        return self.guarded.cpu / self.plain.cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=300, metavar="N")
    parser.add_argument("--json", action="store_true", help="one JSON object a contest")
    options = parser.parse_args()
    photo = encoded(portrait(WIDTH, HEIGHT), quality=QUALITY)
    few = options.repeats // AT_ONCE
    with served(photo, saying) as url:
        contests = [
            download("download", url, photo, 1, options.repeats),
            download(f"download, {AT_ONCE} at once", url, photo, AT_ONCE, few),
        ]
    with served(photo, in_packets) as url:
        contests.append(download("the same, in packets", url, photo, AT_ONCE, few))
    contests.append(decodes(photo, options.repeats))
    contests.append(total(contests[0], contests[-1]))
    if options.json:
        print(json.dumps([asdict(found) | {"ratio": found.ratio} for found in contests]))
    else:
        print(
            f"a photo of {WIDTH}x{HEIGHT}, {len(photo)} bytes; medians of {options.repeats}, milliseconds\n"
        )
        print(f"  {'':24} {'plain CPU':>10} {'guarded':>8} {'ratio':>6}   {'plain wall':>10} {'guarded':>8}")
        for found in contests:
            show(found)


def download(name: str, url: str, photo: bytes, count: int, repeats: int) -> Contest:
    """The downloader and httpx.AsyncClient, with so many photos at once."""
    downloader = Downloader(Limits(megabytes=10, seconds=10, private_addresses=True))
    with looping() as loop:
        client = httpx.AsyncClient()

        async def get(count: int) -> list[bytes]:
            answers = await asyncio.gather(*(client.get(url) for _ in range(count)))
            return [answer.content for answer in answers]

        def plain(count: int) -> list[bytes]:
            return asyncio.run_coroutine_threadsafe(get(count), loop).result()

        def guarded(count: int) -> list[bytes | DownloadFailed]:
            return downloader.photos([url] * count)

        assert plain(1) == guarded(1) == [photo]
        found = contest(name, partial(plain, count), partial(guarded, count), repeats=repeats, count=count)
        asyncio.run_coroutine_threadsafe(client.aclose(), loop).result()
    downloader.close()
    return found


def decodes(photo: bytes, repeats: int) -> Contest:
    """A decoder in a process of its own, and Pillow in this one."""
    decoders = Decoders(1, decode.Limits())
    plain, guarded = partial(squish, photo, side=SIDE), partial(decoders.squish, photo, side=SIDE)
    assert np.array_equal(plain(), guarded())
    [pid] = decoders.pids
    found = contest(
        "decode", plain, guarded, repeats=repeats, cpu=lambda: time.process_time() + processor_time(pid)
    )
    decoders.close()
    return found


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used, as Linux tells it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def total(*contests: Contest) -> Contest:
    """One photo through all of them."""

    def cost(costs: list[Cost]) -> Cost:
        return Cost(sum(cost.cpu for cost in costs), sum(cost.wall for cost in costs))

    return Contest(
        "both",
        cost([found.plain for found in contests]),
        cost([found.guarded for found in contests]),
    )


@contextmanager
def looping() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread, as the downloader has one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def contest(  # noqa: PLR0913  (two ways, and how to measure them)
    name: str,
    plain: Callable[[], object],
    guarded: Callable[[], object],
    *,
    repeats: int,
    count: int = 1,
    cpu: Callable[[], float] = time.process_time,
) -> Contest:
    """Measure two ways to do `count` photos, in turns, so that the machine's moods hit both."""
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for turn in range(WARM_UP + repeats):
        for way, found in zip((plain, guarded), costs, strict=True):
            before, begin = cpu(), time.perf_counter()
            way()
            cost = Cost(cpu() - before, time.perf_counter() - begin)
            if turn >= WARM_UP:
                found.append(cost)
    return Contest(name, *(_median(found, count) for found in costs))


def show(found: Contest) -> None:
    print(
        f"  {found.name:24} {found.plain.cpu:10.2f} {found.guarded.cpu:8.2f} {found.ratio:6.2f}"
        f"   {found.plain.wall:10.2f} {found.guarded.wall:8.2f}"
    )


@contextmanager
def served(photo: bytes, how: Callable[[bytes], Talk]) -> Iterator[str]:
    """A web server with one photo, in a process of its own: its CPU is not ours."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    server = context.Process(target=_serve, args=(photo, how, there), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/"
    finally:
        here.send("enough")
        server.join()


def _serve(photo: bytes, how: Callable[[bytes], Talk], other: Connection) -> None:
    with talker(how(ok(photo))) as port:
        other.send(port)
        other.recv()


def in_packets(answer: bytes) -> Talk:
    """What `saying` says, as a network brings it."""

    def talk(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while heard(connection):
            for begin in range(0, len(answer), PACKET_BYTES):
                connection.sendall(answer[begin : begin + PACKET_BYTES])
                time.sleep(PACKET_SECONDS)

    return talk


def _median(costs: list[Cost], count: int) -> Cost:
    def median(values: list[float]) -> float:
        return statistics.median(values) * 1000 / count

    return Cost(median([cost.cpu for cost in costs]), median([cost.wall for cost in costs]))


if __name__ == "__main__":
    main()
