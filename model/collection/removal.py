"""A post, or all of an author's, out of a dataset for good."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from model.collection.held import Held
from model.collection.names import name_of, names
from model.dataset.table import read_posts


@dataclass(frozen=True)
class Removal:
    """What was removed."""

    posts: int
    photos: int


def forget(folder: Path, text: str) -> Removal:
    """Remove a post, or all of an author's, and take none of it in again.

    Args:
        folder: The dataset.
        text: The post or the author, by URL, handle or id.

    Raises:
        CollectionError: The dataset's lists make no sense.
        DatasetError: It is no dataset.
    """
    rows = read_posts(folder)
    held = Held(folder)
    # Before all else: whatever goes wrong from here on, it does not come back.
    held.forgotten.add(text)
    found = _found(held, rows, text)
    # An author may be asked for by one name, and come back under another.
    for source in [source for id_, source in held.journal.held.items() if id_ in found]:
        if name_of(text) in {name_of(source.post.author), name_of(source.post.handle)}:
            held.forgotten.add(source.post.author)
    photos = held.give_up(found, rows)
    held.publish()
    return Removal(len(found), photos)


def _found(held: Held, rows: pa.Table, text: str) -> set[str]:
    """The ids of posts that go by a name, or whose author does."""
    wanted = pa.array(sorted({name_of(text), text.strip().lower()}))
    columns = [pc.utf8_lower(rows[name]) for name in ("id", "author") if name in rows.column_names]
    ids = {id_ for column in columns for id_ in rows["id"].filter(pc.is_in(column, wanted)).to_pylist()}
    return ids | {id_ for id_, source in held.journal.held.items() if name_of(text) in names(source.post)}
