"""Everything the sandbox must not forget, in one SQLite file; photos lie beside it as files."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS people (
    id INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE COLLATE NOCASE,
    display_name TEXT NOT NULL,
    bot INTEGER NOT NULL,
    token_digest TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS profiles (
    person INTEGER PRIMARY KEY REFERENCES people (id),
    note TEXT NOT NULL,
    created_at TEXT
);
CREATE TABLE IF NOT EXISTS fields (
    person INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (person, place)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS apps (
    client TEXT PRIMARY KEY,
    secret TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS codes (
    digest TEXT PRIMARY KEY,
    client TEXT NOT NULL,
    person INTEGER NOT NULL,
    scopes TEXT NOT NULL,
    at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tokens (
    digest TEXT PRIMARY KEY,
    person INTEGER NOT NULL,
    scopes TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS media (
    id INTEGER PRIMARY KEY,
    owner INTEGER NOT NULL REFERENCES people (id),
    folder TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    extension TEXT NOT NULL,
    preview INTEGER NOT NULL,
    description TEXT,
    meta TEXT NOT NULL,
    ready_at REAL NOT NULL,
    status INTEGER,
    place INTEGER
);
CREATE INDEX IF NOT EXISTS media_of_status ON media (status);
CREATE TABLE IF NOT EXISTS statuses (
    id INTEGER PRIMARY KEY,
    author INTEGER NOT NULL REFERENCES people (id),
    text TEXT NOT NULL,
    visibility TEXT NOT NULL,
    spoiler_text TEXT NOT NULL,
    sensitive INTEGER NOT NULL,
    language TEXT,
    in_reply_to INTEGER,
    in_reply_to_author INTEGER
);
CREATE INDEX IF NOT EXISTS statuses_of_author ON statuses (author, id);
CREATE INDEX IF NOT EXISTS replies_to_status ON statuses (in_reply_to);
CREATE TABLE IF NOT EXISTS mentions (
    status INTEGER NOT NULL,
    person INTEGER NOT NULL,
    PRIMARY KEY (status, person)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notifications (
    id INTEGER PRIMARY KEY,
    person INTEGER NOT NULL,
    author INTEGER NOT NULL,
    status INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS notifications_of_person ON notifications (person, id);
CREATE INDEX IF NOT EXISTS notifications_of_status ON notifications (status);
CREATE TABLE IF NOT EXISTS quotes (
    status INTEGER PRIMARY KEY,
    quoted INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS policies (
    person INTEGER PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS held (
    id INTEGER PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS idempotency (
    person INTEGER NOT NULL,
    key TEXT NOT NULL,
    status INTEGER NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (person, key)
) WITHOUT ROWID;
"""
TABLES_WITH_IDS = ("people", "media", "statuses", "notifications")
ID_BITS_BELOW_TIME = 16  # as in Mastodon: milliseconds since 1970, then 16 bits that tell ids apart


class Store:
    """One SQLite connection, and the last id it gave out."""

    def __init__(self, file: Path) -> None:
        # Autocommit: a single statement is its own transaction, `transaction` groups several.
        self.db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        # NORMAL: a commit survives kill -9 the kernel has it; a power cut may lose the last ones.
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA synchronous = NORMAL")
        self.db.executescript(SCHEMA)
        # Starting from the largest id ever stored keeps ids unique even if the clock went back.
        newest = [self.db.execute(f"SELECT max(id) FROM {name}").fetchone()[0] for name in TABLES_WITH_IDS]  # noqa: S608
        self.last_id = max((number for number in newest if number is not None), default=0)

    def next_id(self) -> int:
        """Return an id larger than every one before, from which `when` can tell its time."""
        now = time.time_ns() // 1_000_000 << ID_BITS_BELOW_TIME
        self.last_id = max(now, self.last_id + 1)
        return self.last_id

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what is written inside appear whole, or not at all."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def close(self) -> None:
        """Give the file back; nothing answered so far depends on it."""
        self.db.close()


def when(number: int) -> str:
    """Return the moment an id was made, as Mastodon writes it: ISO 8601, milliseconds, Z."""
    return iso((number >> ID_BITS_BELOW_TIME) / 1000)


def iso(seconds: float) -> str:
    """Return seconds since 1970 as ISO 8601 with milliseconds and Z."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
