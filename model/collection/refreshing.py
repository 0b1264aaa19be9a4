"""Held posts as they are now: likes take weeks to come, and what is deleted must go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from model.collection.held import Held
from model.collection.network import Network
from model.collection.post import Post

FRESH = timedelta(days=1)
"""What was read within this time is not read again."""


@dataclass
class Renewal:
    """What came of it."""

    read: int = 0
    gone: int = 0


def refresh(network: Network, server: str, held: Held, note: Callable[[int], None]) -> Renewal:
    """Read held posts of a server again, those first that were not read for longest.

    Posts that are deleted, or whose authors want no bots by now, are given up at once, and their photos.

    Raises:
        CollectionError: It cannot go on; what is done is done, and another run goes on from there.
    """
    before = datetime.now(UTC) - FRESH
    stale = sorted(
        (
            source
            for source in held.journal.held.values()
            if source.server == server and source.read_at < before
        ),
        key=lambda source: source.read_at,
    )
    renewal = Renewal()
    for start in range(0, len(stale), network.batch):
        batch = stale[start : start + network.batch]
        found = network.again([source.post.id for source in batch])
        # An edited post may show another photo.
        same = {source.post.id for source in batch if _shows(found.get(source.post.id), source.post)}
        for id_ in same:
            held.renew(found[id_])
        gone = {source.post.id for source in batch} - same
        if gone:
            held.give_up(gone)
        renewal.read += len(same)
        renewal.gone += len(gone)
        note(len(batch))
    return renewal


def _shows(now: Post | None, before: Post) -> bool:
    """Whether a post is there, with the photo it had. The photo may have moved to another host."""
    return now is not None and _name(now.photo) == _name(before.photo)


def _name(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2].partition("@")[0]
