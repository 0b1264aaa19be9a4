"""What the bot asks of a network.

NetworkError        a call failed: `trouble` says how, `permanent` whether trying again can help
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from bot.messages import Mention, Reply

Trouble = Literal[
    "unreachable",  # no answer, or an error of the server's own
    "rate_limited",
    "unauthorized",  # the token is not accepted, or may not do this
    "out_of_credit",
    "duplicate",  # the same text was posted before: other words may pass
    "gone",  # what was asked about is deleted, or out of the bot's sight
    "refused",  # any other no
]

# As many as X takes in one call is 100, Bluesky 25; Mastodon is asked for each.
MISSING_AT_ONCE = 25


class NetworkError(Exception):
    """A network refused or did not answer.

    Args:
        message: What was asked, what came back, what to do.
        trouble: What kind of failure it was.
        permanent: The same call will fail again: a bad token, a deleted post.
        unknown: Whether the network did what it was asked, nobody knows: the answer was lost, or an error
            that may have come after the deed.
        retry_after: Seconds the network asks us to wait, if it said so.
    """

    def __init__(
        self,
        message: str,
        *,
        trouble: Trouble = "unreachable",
        permanent: bool = False,
        unknown: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.trouble = trouble
        self.permanent = permanent
        self.unknown = unknown
        self.retry_after = retry_after


@dataclass(frozen=True)
class Page:
    """Some mentions, oldest first."""

    mentions: tuple[Mention, ...]
    cursor: str | None
    """From where the next look may start: all before it has settled. None: from where this one started."""
    next: str | None
    """From where to read on now; None if these are the youngest."""


@dataclass(frozen=True)
class Posted:
    """A reply as it stands in the network."""

    id: str
    url: str


@dataclass(frozen=True)
class Gone:
    """A post was deleted; whether it was a mention, the ledger knows."""

    id: str


Happening = Mention | Gone

# Says that a stream lives, and what ends it at once, from any thread.
Alive = Callable[[Callable[[], None]], None]


class Network(Protocol):
    """One account on one network. Every call raises NetworkError and nothing else."""

    name: str

    def mentions_after(self, cursor: str | None) -> Page:
        """The mentions next after the cursor; the latest ones for no cursor."""

    def watch(self, deliver: Callable[[Happening], None], alive: Alive) -> None:
        """Deliver mentions and deletions as they happen, until the network ends the stream; it may lose some.

        `alive` is called once the stream is open, and then at every sign of life, with what hangs up: that is
        safe to call from any thread, at any time and again, and `watch` ends soon. Neither callable raises.
        A stream that gives no sign of life for 25 seconds has to be taken for broken.

        Raises:
            NetworkError: It broke; after how many seconds to try again, if the network has rules about that.
                Permanent if this network has no stream, or (trouble "unauthorized") refuses the bot.
        """

    def room(self, mention: Mention) -> int:
        """How long a reply to this mention may be, as `length` counts."""

    def length(self, text: str) -> int:
        """How long a text is, as this network counts."""

    def find_reply(self, mention: Mention) -> Posted | None:
        """The bot's own reply to this mention, if the network has one."""

    def reply(self, mention: Mention, reply: Reply) -> Posted:
        """Post the reply and its pictures. Repeated, it posts nothing new where idempotency keys are kept."""

    def delete(self, reply_id: str) -> None:
        """Delete one of the bot's own posts; one that is gone already is fine."""

    def missing(self, ids: Sequence[str]) -> set[str]:
        """Which of these posts, at most MISSING_AT_ONCE, are deleted or out of the bot's sight.

        The replies to them will be deleted: what cannot be told for sure is not missing. An adapter whose
        network tells of every deletion by itself may return an empty set.
        """
