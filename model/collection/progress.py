"""How far a tag has been read, so that a run goes on where another stopped: `collection.json`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from model.collection.visitor import CollectionError
from model.files import replacing

PROGRESS = "collection.json"


class Stretch(BaseModel):
    """A part of a timeline that is yet to be read, from its newer end to its older one."""

    place: str = ""
    """Where the network is to go on; empty at the very top."""
    until: datetime | None = None
    """What is as old as this was read before; None: everything is new."""


class Timeline(BaseModel):
    """One tag on one server."""

    stretches: list[Stretch] = Field(default_factory=list)
    newest: datetime | None = None
    """The newest post that was seen."""

    def start(self) -> None:
        """Begin a run: what is new comes first, then what an earlier run has left."""
        self.stretches = [one for one in self.stretches if one.place]
        if self.newest or not self.stretches:
            self.stretches.insert(0, Stretch(until=self.newest))

    def read(self, newest: datetime | None, oldest: datetime | None, older: str) -> None:
        """Note that a page of the first stretch was read.

        Args:
            newest: When the newest post of the page was made, None without posts.
            oldest: When the oldest was.
            older: What leads to the page before; empty if there is none.
        """
        stretch = self.stretches[0]
        if newest and (self.newest is None or newest > self.newest):
            self.newest = newest
        reached = oldest is None or (stretch.until is not None and oldest <= stretch.until)
        if reached or not older or older == stretch.place:
            del self.stretches[0]
        else:
            stretch.place = older


class Progress(BaseModel):
    """Of all that a dataset was collected from."""

    timelines: dict[str, Timeline] = Field(default_factory=dict)
    """By network, server and tag."""
    agreed: dict[str, str] = Field(default_factory=dict)
    """The code of the terms that the operator agreed to, by server."""

    @classmethod
    def load(cls, folder: Path) -> Progress:
        """Read a dataset's progress.

        Raises:
            CollectionError: It makes no sense.
        """
        file = folder / PROGRESS
        try:
            return cls.model_validate_json(file.read_bytes()) if file.exists() else cls()
        except ValidationError:
            raise CollectionError(f"{file} makes no sense; without it, all is read from the start") from None

    def save(self, folder: Path) -> None:
        """Write it, whole or not at all."""
        with replacing(folder / PROGRESS) as draft:
            draft.write_text(self.model_dump_json(indent=1))
