"""What a dataset holds of collected posts: the journal of sources, the photos, and the table made of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from model.collection.forgotten import Forgotten
from model.collection.names import names
from model.collection.post import Post
from model.collection.sources import Journal, Source
from model.dataset import faces, labelled, posts
from model.dataset import photos as looks
from model.dataset.table import read_posts
from model.files import replacing
from model.pixels import FORMATS, squish

PHOTOS = "photos"
_FURTHER = pa.schema(
    {"network": pa.string(), "language": pa.string(), "read_at": pa.timestamp("us", tz="UTC")}
)


class Held:
    """One dataset, as the collection sees it.

    Args:
        folder: The dataset; it is made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        (folder / PHOTOS).mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.journal = Journal(folder)
        self.forgotten = Forgotten(folder)
        self._deleted: set[str] = set()
        last = self.journal.last
        if last and not (folder / last.file).exists():
            # A run was killed between the two steps of `add`.
            self.journal.drop(last.post.id)

    def knows(self, post: Post) -> bool:
        """Whether a post is held already."""
        return post.id in self.journal.held

    def wants(self, post: Post) -> bool:
        """Whether nobody asked for a post, or its author, to be forgotten."""
        return not self.forgotten.has(names(post))

    def add(self, source: Source, photo: bytes) -> None:
        """Hold a post and its photo from now on."""
        # In this order, for a photo of which nothing is known could not be given up again.
        self.journal.add(source)
        file = self.folder / source.file
        if not file.exists():
            with replacing(file) as draft:
                draft.write_bytes(photo)

    def renew(self, post: Post) -> None:
        """Take over a held post's likes and followers as they are now."""
        source = self.journal.held[post.id]
        seen = replace(source.post, likes=post.likes, followers=post.followers, handle=post.handle)
        self.journal.add(replace(source, post=seen, read_at=datetime.now(UTC)))

    def give_up(self, ids: Collection[str], rows: pa.Table | None = None) -> int:
        """Give posts up, and give the number of photos that were deleted with them.

        Args:
            ids: The posts.
            rows: The table of posts, where it holds more than the journal.
        """
        shown = {source.post.id: source.file for source in self.journal.held.values()}
        if rows is not None:
            shown |= dict(zip(rows["id"].to_pylist(), rows["photo"].to_pylist(), strict=True))
        going = {shown[id_] for id_ in ids if id_ in shown}
        files = going - {file for id_, file in shown.items() if id_ not in ids}
        deleted = sum(self._delete(file) for file in files)
        for id_ in ids:
            self.journal.drop(id_)
        return deleted

    def publish(self) -> int:
        """Bring the tables in line with the journal, and give the number of posts."""
        table = self._table()
        posts.write(table.sort_by("id"), self.folder)
        # It has been taken over, with those in it who are to be forgotten.
        (self.folder / posts.CSV).unlink(missing_ok=True)
        self._thin_others()
        self.journal.compact()
        return int(table.num_rows)

    def _table(self) -> pa.Table:
        fresh = _rows(list(self.journal.held.values()))
        if not any((self.folder / name).exists() for name in (posts.PARQUET, posts.CSV)):
            return fresh
        before = read_posts(self.folder)
        ours = _among(before, [*self.journal.held, *self.journal.gone])
        others = before.filter(pc.invert(ours))
        if not fresh.num_rows:
            return others
        # What other steps have added to our rows, such as the number of faces.
        added = [name for name in before.column_names if name not in fresh.column_names]
        fresh = fresh.join(before.filter(ours).select(["id", *added]), "id", join_type="left outer")
        return pa.concat_tables([others, fresh], promote_options="permissive") if others.num_rows else fresh

    def _thin_others(self) -> None:
        """Take what is gone out of all that was made of the posts."""
        if not self.journal.gone:
            return
        labelled.remove(self.folder, self.journal.gone, self._deleted)
        looks.clear(self.folder)
        (self.folder / faces.JOURNAL).unlink(missing_ok=True)

    def _delete(self, file: str) -> bool:
        """Delete a photo of the dataset's own; a URL is none, nor is a file elsewhere."""
        path = (self.folder / file).resolve()
        if not path.is_relative_to(self.folder.resolve()) or not path.is_file():
            return False
        path.unlink()
        self._deleted.add(file)
        return True


def file_of(photo: bytes) -> str:
    """The path of a photo in a dataset: by its bytes, so that the same photo is there once.

    Raises:
        PhotoRejected: It cannot be read as a photo.
    """
    squish(photo, side=8)
    with Image.open(BytesIO(photo), formats=FORMATS) as image:
        kind = (image.format or "").lower()
    return f"{PHOTOS}/{hashlib.sha256(photo).hexdigest()[:32]}.{kind}"


def _among(table: pa.Table, ids: Collection[str]) -> pa.ChunkedArray:
    return pc.is_in(table["id"], pa.array(list(ids), pa.string()))


def _rows(sources: list[Source]) -> pa.Table:
    """The table of posts, as the journal knows them."""
    further = dict.fromkeys(name for source in sources for name in source.post.further)
    columns = {
        "id": [source.post.id for source in sources],
        "photo": [source.file for source in sources],
        "author": [source.post.author for source in sources],
        "followers": [source.post.followers for source in sources],
        "likes": [source.post.likes for source in sources],
        "tags": [source.post.tags for source in sources],
        "posted_at": [source.post.posted_at for source in sources],
        "network": [source.network for source in sources],
        "language": [source.post.language for source in sources],
        "read_at": [source.read_at for source in sources],
    }
    schema = pa.schema([*posts.SCHEMA, *_FURTHER])
    table = pa.table(columns, schema=schema)
    for name in further:
        if name not in columns:
            table = table.append_column(name, pa.array([source.post.further.get(name) for source in sources]))
    return table
