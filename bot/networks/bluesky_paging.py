"""From the youngest notification down to where the last look began.

Bluesky lists the youngest first and knows no other way. So only the last page of a look moves the cursor:
until then, what lies between the page and the cursor has not been read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

# A notification is sorted by its author's clock, and appears when the network has got round to it: so far
# behind the youngest, nothing that was not there before is expected any more.
OVERLAP = timedelta(minutes=10)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """Where a look is."""

    since: datetime
    """Down to here it goes."""
    at: str | None = None
    """The network's own cursor; None at the top."""
    settled: datetime | None = None
    """From here the next look may start."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote, or a cursor."""
        since, *rest = text.split(" ")
        if not rest:
            return cls(datetime.fromisoformat(since))
        at, settled = rest
        return cls(datetime.fromisoformat(since), at, datetime.fromisoformat(settled))

    def __str__(self) -> str:
        assert self.settled
        return f"{self.since.isoformat()} {self.at} {self.settled.isoformat()}"

    def settle(self, times: Sequence[datetime]) -> datetime:
        """From where the next look may start, given the times of this page, the youngest first."""
        if self.settled:
            return self.settled
        return max(self.since, times[0] - OVERLAP) if times else self.since

    def below(self, times: Sequence[datetime], cursor: str | None) -> Self | None:
        """The place of the page below this one; None if the look is over.

        Args:
            times: The times of this page, the youngest first.
            cursor: Where the network says that it goes on.
        """
        if not cursor or (times and times[-1] < self.since):
            return None
        return type(self)(self.since, _again(cursor, self.at), self.settle(times))


def _again(cursor: str, before: str | None) -> str:
    """A cursor that reads the last page's last millisecond again.

    The network's cursor is a time, and what is as old as the last of a page would be skipped. Only a page
    that lies in one millisecond must be left that way.
    """
    try:
        moment = datetime.fromisoformat(cursor) + timedelta(milliseconds=1)
    except ValueError:
        return cursor
    again = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return cursor if again == before else again
