"""Who and what must not come back: salted hashes in `forgotten.jsonl`, so that the list has no names."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from model.collection.names import name_of
from model.collection.sources import write_lines
from model.collection.visitor import CollectionError

FORGOTTEN = "forgotten.jsonl"


class Forgotten:
    """The list of one dataset.

    Args:
        folder: The dataset.

    Raises:
        CollectionError: The list makes no sense; without it, nothing may be collected.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / FORGOTTEN
        self._lines: list[dict[str, str]] = []
        try:
            text = self._file.read_text() if self._file.exists() else ""
            self._lines = [json.loads(line) for line in text.splitlines()]
            self._salt = self._lines[0]["salt"] if self._lines else secrets.token_hex(16)
            self._hashes = {line["hash"] for line in self._lines}
        except (ValueError, LookupError, TypeError):
            raise CollectionError(
                f"{self._file} makes no sense, and it says whose posts must not be taken; bring it back"
            ) from None

    def has(self, names: Iterable[str]) -> bool:
        """Whether a post is to be left alone, by its names."""
        return any(self._hash(name) in self._hashes for name in names)

    def add(self, text: str) -> None:
        """Leave a post, or an author, alone from now on."""
        hashed = self._hash(name_of(text))
        if hashed not in self._hashes:
            today = datetime.now(UTC).date().isoformat()
            self._lines.append({"salt": self._salt, "hash": hashed, "since": today})
            self._hashes.add(hashed)
            write_lines(self._file, (json.dumps(line).encode() for line in self._lines))

    def _hash(self, name: str) -> str:
        return hashlib.sha256(f"{self._salt} {name}".encode()).hexdigest()
