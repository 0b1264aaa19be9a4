"""Where each collected post came from: `sources.jsonl`, a journal of which the last line on a post counts."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from model.collection.post import Post
from model.collection.visitor import CollectionError
from model.files import replacing

SOURCES = "sources.jsonl"


@dataclass(frozen=True)
class Source:
    """A held post, and what must be known to give it up again."""

    post: Post
    file: str
    """The photo, relative to the dataset."""
    network: str
    server: str
    terms: str
    """The code of the terms under which it was taken."""
    collected_at: datetime
    read_at: datetime
    """When its likes were last read."""


_SOURCE = TypeAdapter(Source)
_GONE = TypeAdapter(dict[str, str])
_LINE: TypeAdapter[Source | dict[str, str]] = TypeAdapter(Source | dict[str, str])


class Journal:
    """The sources of one dataset.

    Args:
        folder: The dataset.

    Raises:
        CollectionError: The journal makes no sense.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / SOURCES
        self.held: dict[str, Source] = {}
        self.gone: set[str] = set()
        """Posts that were given up, and may still be in a table."""
        self.last: Source | None = None
        """What the journal ends with."""
        for line in _lines(self._file):
            self._take(line)

    def add(self, source: Source) -> None:
        """Note a post that is held, or what is new of it."""
        self._append(_SOURCE.dump_json(source))

    def drop(self, id_: str) -> None:
        """Note that a post is held no more."""
        self._append(_GONE.dump_json({"gone": id_}))

    def compact(self) -> None:
        """Write the journal anew, without what is no more."""
        write_lines(self._file, map(_SOURCE.dump_json, self.held.values()))
        self.gone.clear()

    def _append(self, line: bytes) -> None:
        with self._file.open("ab") as file:
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(_LINE.validate_json(line))

    def _take(self, line: Source | dict[str, str]) -> None:
        if isinstance(line, Source):
            self.last = self.held[line.post.id] = line
            self.gone.discard(line.post.id)
            return
        self.last = None
        self.held.pop(line["gone"], None)
        self.gone.add(line["gone"])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one that changes a dataset's sources.

    Raises:
        CollectionError: Somebody else is at it, or there is no such folder.
    """
    if not folder.is_dir():
        raise CollectionError(f"{folder} is no folder; name a dataset's")
    with (folder / ".collecting").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CollectionError(
                f"another process is collecting into {folder}; wait until it ends"
            ) from None
        yield


def write_lines(file: Path, lines: Iterable[bytes]) -> None:
    """Write a whole file of JSON lines, or nothing."""
    with replacing(file) as draft:
        draft.write_bytes(b"".join(line + b"\n" for line in lines))


def _lines(file: Path) -> Iterator[Source | dict[str, str]]:
    if not file.exists():
        return
    *whole, half = file.read_bytes().split(b"\n")
    if half:
        # A run was killed as it wrote: what is half there is not there.
        os.truncate(file, file.stat().st_size - len(half))
    for number, line in enumerate(whole, 1):
        try:
            yield _LINE.validate_json(line)
        except ValidationError:
            raise CollectionError(
                f"line {number} of {file} makes no sense; put it right or take it out"
            ) from None
