"""Hostile links through the real downloader, with a witness of what is really dialled.

`judge_links` runs any list of links; `benchmarks/hostile.py` is its command line. The witness is Python's own
audit hook, below every library, and has an opinion of its own of which addresses are public.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

from worker.addresses import is_public
from worker.dialler import Resolve, lookup
from worker.download import MAX_CONNECTIONS, Downloader, DownloadFailed, Limits

NAT64 = 0x64_FF9B << 96


@dataclass(frozen=True)
class Outcome:
    """What came of a list of links."""

    links: int
    counts: dict[str, int]
    """How often each reason was given; "fetched" for those that gave bytes."""
    slowest: float
    """Seconds that the slowest link took."""
    seconds: float
    """All of them."""
    connects: int
    """Connections that were opened or tried."""
    connects_inside: tuple[str, ...]
    """Addresses dialled that are not public: none, if the guard is good."""
    crashes: tuple[str, ...]
    """Links that made the downloader raise anything but its own error."""


def judge_links(
    urls: Iterable[str], *, seconds: float = 0.5, megabytes: float = 10, resolve: Resolve = lookup
) -> Outcome:
    """Have the downloader, with all its guards, fetch each link once, as many at a time as it takes.

    Args:
        urls: The links.
        seconds: The deadline of each. Public addresses time out where there is no internet.
        megabytes: The largest body that is taken.
        resolve: Who knows the addresses of names: this machine's resolver, or one that lies.
    """
    downloader = Downloader(Limits(megabytes, seconds, private_addresses=False), resolve=resolve)

    def fetch(url: str) -> tuple[str, str, float]:
        began = time.monotonic()
        try:
            downloader.fetch(url)
            reason = "fetched"
        except DownloadFailed as failed:
            reason = failed.fault
        except Exception as error:
            reason = f"unforeseen {type(error).__name__}"
        return url, reason, time.monotonic() - began

    began = time.monotonic()
    try:
        with witnessed() as dialled, ThreadPoolExecutor(MAX_CONNECTIONS) as threads:
            fetched = list(threads.map(fetch, urls))
    finally:
        downloader.close()
    return Outcome(
        links=len(fetched),
        counts=dict(Counter(reason for _, reason, _ in fetched).most_common()),
        slowest=max((duration for _, _, duration in fetched), default=0),
        seconds=time.monotonic() - began,
        connects=len(dialled),
        connects_inside=tuple(address for address in dialled if not surely_public(address)),
        crashes=tuple(url for url, reason, _ in fetched if reason.startswith("unforeseen")),
    )


def read_links(file: Path) -> Iterator[str]:
    """The links of a file, one a line: as they are, or JSON objects with the key "u" or "url"."""
    # Not splitlines: a hostile link may hold what Unicode calls a line break.
    for line in file.read_bytes().decode("utf-8", "replace").split("\n"):
        text = line.removesuffix("\r")
        if text.startswith("{"):
            row: dict[str, Any] = json.loads(text)
            yield str(row.get("u") or row["url"])
        elif text:
            yield text


def surely_public(address: str) -> bool:
    """A second opinion: what Python's own tables say of the address and of any IPv4 address inside it."""
    parsed = ip_address(address)
    inside: Sequence[object] = ()
    if isinstance(parsed, IPv6Address):
        low = int(parsed) & 0xFFFF_FFFF
        nat64 = ip_address(low) if int(parsed) >> 32 << 32 == NAT64 else None
        isatap = ip_address(low) if int(parsed) >> 32 & 0xFDFF_FFFF == 0x5EFE else None
        if parsed.scope_id:
            return False
        inside = (parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ()), nat64, isatap)
    return (
        parsed.is_global
        and not parsed.is_multicast
        and not parsed.is_reserved
        and not any(inside)
        and is_public(address)
    )


@contextmanager
def witnessed() -> Iterator[list[str]]:
    """The address of each connection that this process opens or tries to open meanwhile."""
    dialled: list[str] = []
    _witnesses.append(dialled)
    if not _hooked.is_set():
        _hooked.set()
        sys.addaudithook(_see)
    try:
        yield dialled
    finally:
        _witnesses.remove(dialled)


def _see(event: str, arguments: tuple[Any, ...]) -> None:
    # An audit hook stays for good, and what it raises ends the connection: it only writes down.
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        for dialled in _witnesses:
            dialled.append(str(arguments[1][0]))


_witnesses: list[list[str]] = []
_hooked = threading.Event()
