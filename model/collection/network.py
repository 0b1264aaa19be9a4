"""What the collection wants of a network: its terms, pages of a tag's posts, and held posts once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from model.collection.post import Post


@dataclass(frozen=True)
class LeftAlone:
    """A post that is not collected."""

    why: str
    """In a word or two, to be counted."""


@dataclass(frozen=True)
class Page:
    """Some posts with a tag, newest first as a rule."""

    entries: Sequence[Post | LeftAlone]
    oldest: datetime | None
    """When the oldest post of the page was made, also if that is left alone; None without posts."""
    newest: datetime | None
    older: str
    """What leads to the page before this one; empty if there is none."""


class Network(Protocol):
    """A network as one operator sees it."""

    name: str
    hosts: frozenset[str]
    """Hosts that its photos are on, subdomains included."""
    batch: int
    """How many posts can be read again in one call."""

    def terms(self) -> str:
        """What its people have laid down for its use, for the operator to read."""
        ...

    def page(self, tag: str, place: str) -> Page:
        """Posts with a tag: the newest, or those at a place that a page named."""
        ...

    def again(self, ids: Sequence[str]) -> dict[str, Post]:
        """Posts as they are now, by id; those that are gone, or to be left alone by now, are missing."""
        ...


M = TypeVar("M", bound=BaseModel)


def read(kind: type[M], source: object) -> M | None:
    """What a network sent; None if it makes no sense."""
    try:
        return kind.model_validate(source)
    except ValidationError:
        return None
