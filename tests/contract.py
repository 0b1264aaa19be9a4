"""Stages: networks on which people can be made to do what the contract suite needs them to.

A network joins the suite with a module that has one class that is a Stage, and one line in STAGES of
tests/test_contract.py.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal, Protocol

from PIL import Image

from bot.networks.base import Network

Trouble = Literal[
    "reading_limited",  # for two seconds
    "reading_broken",
    "posting_limited",
    "posting_broken",  # and nothing was posted
    "answer_lost",  # and it was posted
    "stream_closes",  # at the next event
]


@dataclass(frozen=True)
class Seen:
    """A reply of the bot's, as people see it."""

    id: str
    text: str
    descriptions: tuple[str, ...]
    """Of its pictures."""
    visibility: str = "public"
    warning: str = ""


class Stage(Protocol):
    """One network with a bot on it, ann, who mentions it, and bob, who does not."""

    name: str
    streams: bool
    keeps_keys: bool
    """A reply that is repeated posts nothing new."""
    features: frozenset[str]
    """Of: private, warnings, quotes, pictures, deletions (the stream tells of them)."""
    troubles: frozenset[Trouble]
    """What can be made to go wrong here."""

    def bot(self) -> Network:
        """Log in anew: nothing is remembered but what the network knows."""

    def stranger(self) -> Network:
        """Log in with a token that is not valid."""

    def mention(self, text: str = "look", photos: int = 0, **options: Any) -> str:
        """Have ann mention the bot; options: reply_to, quotes, private, warning."""

    def post(self, text: str = "hello", photos: int = 0, **options: Any) -> str:
        """Have bob post something, without a mention."""

    def delete(self, post: str) -> None:
        """Have whoever posted it delete it."""

    def replies(self, post: str) -> list[Seen]:
        """The bot's own under a post."""

    def trouble(self, trouble: Trouble) -> AbstractContextManager[None]:
        """Let something go wrong for a while."""


def photo() -> bytes:
    """Small, but real."""
    file = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(file, "PNG")
    return file.getvalue()
