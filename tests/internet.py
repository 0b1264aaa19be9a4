"""A public internet on loopback: names with public addresses, whose servers are local ones."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from worker.download import Downloader, DownloadFailed, Limits
from worker.wire import Wire, dial


class Internet:
    """Resolves names and dials addresses for a downloader, and remembers what it dialled."""

    def __init__(self) -> None:
        self.names: dict[str, Iterator[Sequence[str]]] = {}
        """For each name, the answers of its name server, one after the other."""
        self.servers: dict[tuple[str, int], int] = {}
        """Address and port → the local port that is really there."""
        self.dialled: list[str] = []

    def name(self, name: str, *answers: Sequence[str]) -> None:
        """Have a name server give these answers in turn, and the last one from then on."""
        self.names[name] = itertools.chain(answers, itertools.repeat(answers[-1]))

    def host(self, name: str, port: int, *, at: int = 80) -> str:
        """Put a local server behind a name on the public internet, and give its URL."""
        address = f"93.184.{len(self.servers) >> 8}.{len(self.servers) & 255}"
        self.name(name, [address])
        self.servers[address, at] = port
        return f"{'https' if at == 443 else 'http'}://{name}/"

    def resolve(self, host: str, port: int) -> Sequence[str]:
        if answers := self.names.get(host):
            return next(answers)
        # What this machine makes of numbers. It asks no name server.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(entry[4][0]) for entry in found]

    async def dial(self, address: str, port: int) -> Wire:
        self.dialled.append(address)
        local = self.servers.get((address, port))
        if local is None:
            raise ConnectionRefusedError(f"nobody listens at {address}:{port}")
        return await dial("127.0.0.1", local)


@contextmanager
def guarded(
    internet: Internet,
    *,
    megabytes: float = 2,
    seconds: float = 5,
    contact: str | None = None,
    private_hosts: Collection[tuple[str, int]] = (),
) -> Iterator[Downloader]:
    """A downloader on that internet, with all its guards."""
    limits = Limits(megabytes, seconds, private_addresses=False, private_hosts=frozenset(private_hosts))
    downloader = Downloader(limits, contact=contact, resolve=internet.resolve, dial=internet.dial)
    try:
        yield downloader
    finally:
        downloader.close()


def fault(downloader: Downloader, url: str) -> str:
    """Why a photo could not be fetched."""
    [outcome] = downloader.photos([url])
    assert isinstance(outcome, DownloadFailed), f"{url} gave {len(outcome)} bytes"
    return outcome.fault
