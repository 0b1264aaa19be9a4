"""Where each collected post came from: `sources.jsonl`, a journal of which the last line on a post counts."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from model.collection.post import Post
from model.collection.visitor import CollectionError
from model.dataset.files import replacing

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
        self._append({**asdict(source.post), **_dates(source)})

    def drop(self, id_: str) -> None:
        """Note that a post is held no more."""
        self._append({"id": id_, "gone": True})

    def compact(self) -> None:
        """Write the journal anew, without what is no more."""
        lines = ({**asdict(source.post), **_dates(source)} for source in self.held.values())
        write_lines(self._file, lines)
        self.gone.clear()

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._file.open("ab") as file:
            file.write(_encoded(line))
            file.flush()
            os.fsync(file.fileno())
        self._take(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        if line.get("gone"):
            self.held.pop(line["id"], None)
            self.gone.add(line["id"])
            self.last = None
            return
        self.last = self.held[line["id"]] = _source(line)
        self.gone.discard(line["id"])


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only one that changes a dataset's sources.

    Raises:
        CollectionError: Somebody else is at it.
    """
    with (folder / ".collecting").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise CollectionError(
                f"another process is collecting into {folder}; wait until it ends"
            ) from None
        yield


def write_lines(file: Path, lines: Iterator[Mapping[str, Any]]) -> None:
    """Write a whole file of JSON lines, or nothing."""
    with replacing(file) as draft:
        draft.write_bytes(b"".join(map(_encoded, lines)))


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    if not file.exists():
        return
    *whole, half = file.read_bytes().split(b"\n")
    if half:
        # A run was killed as it wrote: what is half there is not there.
        os.truncate(file, file.stat().st_size - len(half))
    for number, line in enumerate(whole, 1):
        try:
            yield json.loads(line)
        except ValueError:
            raise CollectionError(
                f"line {number} of {file} is no JSON; put it right or take it out"
            ) from None


def _source(line: Mapping[str, Any]) -> Source:
    post = {name: line[name] for name in Post.__dataclass_fields__}
    rest = {name: line[name] for name in Source.__dataclass_fields__ if name != "post"}
    for some in (post, rest):
        some |= {name: datetime.fromisoformat(text) for name, text in some.items() if name.endswith("_at")}
    return Source(Post(**post), **rest)


def _dates(source: Source) -> dict[str, Any]:
    return {name: getattr(source, name) for name in Source.__dataclass_fields__ if name != "post"}


def _encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, default=datetime.isoformat).encode() + b"\n"
