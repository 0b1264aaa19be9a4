"""A tag's posts → a dataset: page after page, each post with its photo, from where an earlier run stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from model.collection.held import Held, file_of
from model.collection.network import LeftAlone, Network, Page
from model.collection.post import Post
from model.collection.progress import Progress, Timeline
from model.collection.sources import Source
from model.pixels import PhotoRejected

Note = Callable[[int], None]
"""Is told how many posts more were dealt with."""
Photo = Callable[[str], bytes | LeftAlone]
"""Fetches a photo, or says why not."""


@dataclass(frozen=True)
class Order:
    """What is to be collected."""

    server: str
    tag: str
    limit: int
    """Of posts, in one run."""
    terms: str = ""
    """The code of the terms that the operator agreed to."""


@dataclass
class Tally:
    """What came of it."""

    collected: int = 0
    left_alone: Counter[str] = field(default_factory=Counter)
    """How many posts were not taken, by reason."""
    all_read: bool = False
    """Whether nothing of the timeline is left to read."""


class Gatherer:
    """One run.

    Args:
        network: Where.
        photo: Fetches a photo.
        held: The dataset.
        order: What is to be collected.
        note: Is told of each post collected.
    """

    def __init__(self, network: Network, photo: Photo, held: Held, order: Order, note: Note) -> None:
        self._network = network
        self._photo = photo
        self._held = held
        self._order = order
        self._note = note
        self._progress = Progress.load(held.folder)
        self.tally = Tally()

    def run(self) -> None:
        """Collect; `tally` and the dataset tell how far it came, however it ends.

        Raises:
            CollectionError: It cannot go on.
        """
        name = f"{self._network.name} {self._order.server} #{self._order.tag.lower()}"
        timeline = self._progress.timelines.setdefault(name, Timeline())
        timeline.start()
        while timeline.stretches and self._room():
            page = self._network.page(self._order.tag, timeline.stretches[0].place)
            if self._take(page):
                timeline.read(page.newest, page.oldest, page.older)
            self._progress.save(self._held.folder)
        self.tally.all_read = not timeline.stretches

    def _room(self) -> bool:
        return self.tally.collected < self._order.limit

    def _take(self, page: Page) -> bool:
        """Take a page's posts; whether there was room for all of them."""
        for entry in page.entries:
            if isinstance(entry, Post) and self._held.knows(entry):
                continue
            if not self._room():
                return False
            why = self._keep(entry) if isinstance(entry, Post) else entry.why
            if why:
                self.tally.left_alone[why] += 1
            else:
                self.tally.collected += 1
                self._note(1)
        return True

    def _keep(self, post: Post) -> str:
        """Take a post; why not, if it is to be left alone."""
        if not self._held.wants(post):
            return "forgotten on request"
        photo = self._photo(post.photo)
        if isinstance(photo, LeftAlone):
            return photo.why
        try:
            file = file_of(photo)
        except PhotoRejected:
            return "photo cannot be read"
        now = datetime.now(UTC)
        order = self._order
        self._held.add(Source(post, file, self._network.name, order.server, order.terms, now, now), photo)
        return ""
