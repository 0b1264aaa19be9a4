"""Everything that the fake X must not forget, in one SQLite file that survives `kill -9`."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

# X's ids: milliseconds since 4 November 2010, then 22 bits that tell ids apart.
EPOCH = 1288834974657
BITS_BELOW_TIME = 22
MENTION = re.compile(r"@(\w{1,15})")

SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    id INTEGER PRIMARY KEY, username TEXT NOT NULL UNIQUE COLLATE NOCASE, token TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL, protected INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS posts (
    id INTEGER PRIMARY KEY, author INTEGER NOT NULL, text TEXT NOT NULL, conversation INTEGER NOT NULL,
    reply_to INTEGER, quoted INTEGER, retweeted INTEGER, edited INTEGER, lang TEXT, sensitive INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS posts_of_author ON posts (author, id);
CREATE INDEX IF NOT EXISTS posts_by_parent ON posts (reply_to);
CREATE TABLE IF NOT EXISTS mentions (
    person INTEGER NOT NULL, post INTEGER NOT NULL, PRIMARY KEY (person, post)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS media (
    id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, type TEXT NOT NULL, kind TEXT NOT NULL,
    content BLOB NOT NULL, total INTEGER, segments INTEGER NOT NULL DEFAULT 0, alt_text TEXT, post INTEGER,
    place INTEGER
);
CREATE INDEX IF NOT EXISTS media_of_post ON media (post);
CREATE TABLE IF NOT EXISTS rules (id INTEGER PRIMARY KEY, value TEXT NOT NULL UNIQUE, tag TEXT);
"""

Row = sqlite3.Row


class Store:
    """One SQLite connection for all threads."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)
        self.lock = threading.RLock()
        tables = ("people", "posts", "media", "rules")
        self._last = max(self.one(f"SELECT max(id) FROM {table}")[0] or 0 for table in tables)

    def rows(self, query: str, *values: Any) -> list[Row]:
        with self.lock:
            return self._db.execute(query, values).fetchall()

    def one(self, query: str, *values: Any) -> Any:
        """The first row, None if there is none."""
        return next(iter(self.rows(query, *values)), None)

    def insert(self, table: str, **values: Any) -> int:
        """Add a row under a new id, larger than every one before."""
        with self.lock:
            self._last = max(id_at(time.time()), self._last + 1)
            values = {"id": self._last, **values}
            marks = ", ".join("?" * len(values))
            self._db.execute(
                f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
            )
            return self._last

    def add_post(self, author: int, text: str, media: Iterable[int] = (), **more: Any) -> int:
        """Add a post, with who is mentioned in it."""
        with self.lock:
            above = self.one("SELECT conversation FROM posts WHERE id = ?", more.get("reply_to"))
            post = self.insert(
                "posts", author=author, text=text, conversation=0, **{"sensitive": False, **more}
            )
            conversation = above[0] if above else post
            self.rows("UPDATE posts SET conversation = ? WHERE id = ?", conversation, post)
            for place, id_ in enumerate(media):
                self.rows("UPDATE media SET post = ?, place = ? WHERE id = ?", post, place, id_)
            for name in set(map(str.lower, MENTION.findall(text))):
                person = self.one("SELECT id FROM people WHERE username = ? AND id != ?", name, author)
                if person:
                    self.rows("INSERT INTO mentions VALUES (?, ?)", person[0], post)
            return post


def id_at(seconds: float) -> int:
    """The first id of a moment, in seconds since 1970."""
    return int(seconds * 1000) - EPOCH << BITS_BELOW_TIME


def when(id_: int) -> str:
    """The moment an id was made, as X writes it."""
    moment = datetime.fromtimestamp(((id_ >> BITS_BELOW_TIME) + EPOCH) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
