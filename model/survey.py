"""What a worker can judge with: each file, what it is or why it is refused, in the order of their turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from model.card import Card
from model.folder import Entry, entries, entry_of
from model.judge import DEFAULT_FILE, JudgeRefused
from model.verification import verify_apart


@dataclass(frozen=True)
class Found:
    """One file."""

    file: Path
    entry: Entry | None
    """How it lies there; None if it does not."""
    card: Card | None
    """What it says about itself; None if it is refused."""
    refused: str = ""


def survey(folder: Path | None, spare: Path | None = None) -> Iterator[Found]:
    """Try a judges' folder's files and the spare, each when it is asked for; the first with a card is in use.

    Args:
        folder: The folder; None for none.
        spare: The file that serves where the folder has none that can; None for the one that comes along.

    Raises:
        OSError: The folder is missing or unreadable.
    """
    yield from shelf(folder) if folder else ()
    yield _try(spare or DEFAULT_FILE)


def shelf(folder: Path) -> Iterator[Found]:
    """Try the files of one folder only, in the same way."""
    return (_try(entry.file) for entry in entries(folder))


def _try(file: Path) -> Found:
    entry = entry_of(file)
    try:
        return Found(file, entry, verify_apart(file))
    except JudgeRefused as refused:
        return Found(file, entry, None, str(refused))
