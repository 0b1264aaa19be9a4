"""Posts that somebody has already: a table, or a folder of photos, taken over as if it were a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.collection.network import LeftAlone, Page
from model.collection.post import Post
from model.dataset import posts
from model.dataset.engines import duckdb
from model.dataset.posts import DatasetError

PAGE_SIZE = 500
SUFFIXES = {".avif", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".webp"}
PLAIN = str | int | float | bool | None


class Shelf:
    """What somebody has.

    Args:
        path: A Parquet or CSV file of posts, a folder with one, or a folder of photos.

    Raises:
        DatasetError: It is none of these.
    """

    name = "table"
    hosts: frozenset[str] = frozenset()
    batch = PAGE_SIZE

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise DatasetError(f"{path} cannot be read as a table or a folder: there is nothing of that name")
        tables = [path / name for name in (posts.PARQUET, posts.CSV) if (path / name).is_file()]
        self.folder = path if path.is_dir() else path.parent
        self._posts = _photos(path) if path.is_dir() and not tables else _rows(tables[0] if tables else path)

    def terms(self) -> str:
        """None: who has the posts knows whether they may be used."""
        return ""

    def page(self, tag: str, place: str) -> Page:
        """Some of the posts, whatever their tags."""
        del tag
        start = int(place or 0)
        some = self._posts[start : start + PAGE_SIZE]
        older = str(start + PAGE_SIZE) if start + PAGE_SIZE < len(self._posts) else ""
        # They may be in any order, and may be added to anywhere: each run looks through all.
        return Page(some, oldest=datetime.max.replace(tzinfo=UTC), newest=None, older=older)

    def again(self, ids: Sequence[str]) -> dict[str, Post]:
        """The posts as they are now."""
        wanted = set(ids)
        return {post.id: post for post in self._posts if post.id in wanted}

    def photo(self, fetch: Callable[[str], bytes | LeftAlone]) -> Callable[[str], bytes | LeftAlone]:
        """What reads a photo's file, or fetches it where the table has a URL."""

        def read(name: str) -> bytes | LeftAlone:
            if "://" in name:
                return fetch(name)
            file = (self.folder / name).resolve()
            if not file.is_relative_to(self.folder.resolve()) or not file.is_file():
                return LeftAlone("photo is not there")
            return file.read_bytes()

        return read


def _rows(file: Path) -> list[Post]:
    table = posts.read(file, duckdb()).to_pyarrow()
    own = {name for name in Post.__dataclass_fields__ if name in table.column_names}
    return [_post(row, own) for row in table.to_pylist()]


def _post(row: dict[str, Any], own: set[str]) -> Post:
    known = {name: value for name, value in row.items() if name in own}
    further = {
        name: value if isinstance(value, PLAIN) else str(value)
        for name, value in row.items()
        if name not in own
    }
    at = row["posted_at"]
    known["posted_at"] = at if at.tzinfo else at.replace(tzinfo=UTC)
    return Post(**{"url": row["id"], "handle": row["author"], "language": ""} | known, further=further)


def _photos(folder: Path) -> list[Post]:
    """A folder's photos: each of an author of its own, liked by nobody, with its sub-folder as a column."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DatasetError(
            f"{folder} has no photos in it ({', '.join(sorted(SUFFIXES))}), and no {posts.PARQUET}"
        )
    return [_photo(file.relative_to(folder), file.stat().st_mtime) for file in files]


def _photo(file: Path, changed: float) -> Post:
    name = file.as_posix()
    at = datetime.fromtimestamp(changed, UTC)
    return Post(name, name, name, name, name, 0, 0, 0, at, "", further={"folder": file.parent.as_posix()})
