"""A collection in a folder of the test's own, with a clock that does not really wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from model.collection.gathering import Gatherer, Order, Tally
from model.collection.held import Held
from model.collection.mastodon import Mastodon
from model.collection.photos import Photos
from model.collection.refreshing import Renewal, refresh
from model.collection.sources import alone
from model.collection.visitor import Manners, Visitor
from tests.instance import Instance

CONTACT = "https://example.com/about"


class Rests:
    """The pauses that a visitor has made."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float, why: str) -> None:
        if why:
            self.seconds.append(round(seconds))


@contextmanager
def visiting(rests: Rests | None = None, *, megabytes: float = 1, pause: float = 0) -> Iterator[Visitor]:
    visitor = Visitor(Manners(CONTACT, pause, megabytes), rests or Rests())
    try:
        yield visitor
    finally:
        visitor.close()


def collect(folder: Path, server: Instance, *, limit: int = 10_000, **wishes: Any) -> Tally:
    """One run, whose posts get into the table even if it fails."""
    folder.mkdir(exist_ok=True)
    with visiting() as visitor, alone(folder):
        held = Held(folder)
        network = Mastodon(visitor, server.url, **wishes)
        photos = Photos(visitor, network.hosts, secure=False)
        gatherer = Gatherer(network, photos, held, Order(server.url, "selfie", limit), lambda _: None)
        try:
            gatherer.run()
        finally:
            held.publish()
        return gatherer.tally


def renew(folder: Path, server: Instance) -> Renewal:
    with visiting() as visitor:
        held = Held(folder)
        renewal = refresh(Mastodon(visitor, server.url), server.url, held, lambda _: None)
        held.publish()
        return renewal


def rows(folder: Path) -> list[dict[str, Any]]:
    """The table of posts."""
    table: list[dict[str, Any]] = pq.read_table(folder / "posts.parquet").to_pylist()
    return table


def numbers(folder: Path) -> list[str]:
    """The held posts by their numbers on the server."""
    return sorted(row["id"].rpartition("/")[2] for row in rows(folder))


def photos(folder: Path) -> int:
    """How many photo files there are."""
    return len(list((folder / "photos").iterdir()))
