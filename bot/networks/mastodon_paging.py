"""The bot's notifications, oldest first, from wherever it stopped reading.

Mastodon, GoToSocial, Takahē and Pleroma page forward from `min_id`. Others take it for `since_id`, or for
nothing (Hollo), and send the newest page: then we page backwards until we meet what we have read. Ids tell
nothing about order (numbers, ULIDs, UUIDs, dates): what counts is where one stands, and when it was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from bot.logs import Log
from bot.networks.mastodon_rest import Query, Rest
from bot.networks.mastodon_wire import Notification
from bot.networks.wire import parse

LOG = Log(__name__)

PAGE_SIZE = 40
# A server's page may be smaller than we ask for, but hardly as small as this: below, there is no more.
FEW = 10
# Twice a busy day. What lies further back is too old to be answered anyway.
MOST_PAGES = 100
# Notifications are not made in the order of their times to the second, so that close calls are read again.
MARGIN = timedelta(minutes=1)
ALWAYS = datetime.min.replace(tzinfo=UTC) + MARGIN


@dataclass(frozen=True)
class Place:
    """Behind one notification; or, without an id, behind a moment."""

    id: str
    at: datetime

    @classmethod
    def of(cls, notification: Notification) -> Self:
        """The place behind a notification."""
        return cls(notification.id, notification.created_at)

    @classmethod
    def read(cls, text: str) -> Self:
        """A place as a cursor keeps it."""
        at, _, number = text.partition(" ")
        try:
            return cls(number, datetime.fromisoformat(at))
        except ValueError:
            return cls(text, ALWAYS)

    def __str__(self) -> str:
        return f"{self.at.isoformat()} {self.id}"

    def is_behind(self, notification: Notification) -> bool:
        """Whether this one, for all we know, was read."""
        return notification.id == self.id or notification.created_at < self.at - MARGIN


@dataclass(frozen=True)
class Batch:
    """Some notifications, oldest first."""

    notifications: list[Notification]
    is_last: bool
    """There are no younger ones."""


class Notifications:
    """Reads mentions; remembers which way the server pages, and what it had to read ahead."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._pages_forward = False
        self._ahead: list[Notification] = []
        self._behind: Place | None = None
        """Where what was read ahead begins."""

    def newest(self) -> Batch:
        """The last page."""
        return Batch(self._read({})[0], is_last=True)

    def after(self, place: Place) -> Batch:
        """The notifications next after a place."""
        if self._behind != place:
            found = self._next(place)
            is_short = len(found) < FEW or any(place.is_behind(one) for one in found)
            self._ahead = _beyond(place, found)
        else:
            is_short = False
        batch, self._ahead = self._ahead[:PAGE_SIZE], self._ahead[PAGE_SIZE:]
        self._behind = Place.of(batch[-1]) if self._ahead else None
        return Batch(batch, is_last=not batch or (is_short and not self._ahead))

    def _next(self, place: Place) -> list[Notification]:
        """What comes after a place, without a gap; perhaps with some that come before it."""
        query = {"min_id": place.id} if place.id else {}
        found, older = self._read(query)
        if self._pages_forward or len(found) < FEW or any(place.is_behind(one) for one in found):
            return found
        if query:
            # Seen before the page was read, and not in it: the page does not hold the newest ones.
            newest = self.newest().notifications
            found, older = self._read(query)
            self._pages_forward = bool(newest) and newest[-1].id not in {one.id for one in found}
        return found if self._pages_forward else self._back_to(place, found, older)

    def _back_to(self, place: Place, found: list[Notification], older: Query) -> list[Notification]:
        known = {one.id for one in found}
        for _ in range(MOST_PAGES):
            if any(place.is_behind(one) for one in found):
                return found
            page, older = self._read(older)
            page = [one for one in page if one.id not in known]
            if not page:
                return found
            known |= {one.id for one in page}
            found = page + found
        LOG.warning("too far behind", notifications=len(found), oldest=str(found[0].created_at))
        return found

    def _read(self, query: Query) -> tuple[list[Notification], Query]:
        """One page, oldest first whichever way the server sorts it, and what leads to the one before."""
        # Types are named as Rails does: everybody understands that.
        asked = {"types[]": ["mention"], "limit": str(PAGE_SIZE), **query}
        answer = self._rest.get("reading notifications", "/api/v1/notifications", asked)
        entries = answer.json if isinstance(answer.json, list) else []
        found = [one for entry in entries if (one := parse(Notification, entry))]
        # Takahē sends pages after min_id oldest first.
        if found and found[0].created_at >= found[-1].created_at:
            found.reverse()
        found.sort(key=lambda one: one.created_at)
        return found, answer.older or ({"max_id": found[0].id} if found else {})


def _beyond(place: Place, found: list[Notification]) -> list[Notification]:
    """What is behind the place's own notification, or, if that is gone, what may be."""
    for number, one in enumerate(found):
        if one.id == place.id:
            return found[number + 1 :]
    return [one for one in found if not place.is_behind(one)]
