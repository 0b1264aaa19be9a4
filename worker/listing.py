"""`deepselfie model list`: what lies in the judges' folder, and which of it is in use."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bot.settings import load
from model.folder import SHADOW
from model.survey import Found, shelf, survey
from worker.choosing import add_folder, judges_folder, told
from worker.settings import WorkerSettings

Row = dict[str, str | float | bool | None]

HEADS = ("", "file", "judge", "precision", "accuracy", "size", "written or touched")


def show(arguments: Sequence[str]) -> int:
    """List the judges."""
    parser = argparse.ArgumentParser(
        prog="deepselfie model list",
        description="List the judges' folder, each file tried as the workers do: the one in use has a *, "
        "the others, each written or touched before the one above it, would serve in this order if it went, "
        "at last WORKER_MODEL or the one that comes along.",
    )
    add_folder(parser)
    parser.add_argument(
        "--json",
        action="store_true",
        help="one JSON object a line: file, role (current, shadow or null), name, version, precision, "
        "accuracy (0-1), bytes, put (when it was written or touched, ISO 8601), ahead (whether that is "
        "in the future), refused (why, or null)",
    )
    options = parser.parse_args(arguments)
    return told(lambda: _list(options))


def _list(options: argparse.Namespace) -> int:
    settings = load(WorkerSettings, os.environ)
    folder = judges_folder(options, settings)
    rows = list(_rows(survey(folder, settings.model), folder, "current"))
    if (folder / SHADOW).is_dir():
        rows += _rows(shelf(folder / SHADOW), folder, "shadow")
    print("\n".join(map(json.dumps, rows)) if options.json else _table(rows))
    return 0


def _rows(files: Iterator[Found], folder: Path, role: str) -> Iterator[Row]:
    is_taken = False
    for found in files:
        yield _row(found, folder, role if found.card and not is_taken else None)
        is_taken |= found.card is not None


def _row(found: Found, folder: Path, role: str | None) -> Row:
    card, entry = found.card, found.entry
    is_inside = found.file.is_relative_to(folder)
    return {
        "file": str(found.file.relative_to(folder) if is_inside else found.file),
        "role": role,
        "name": card.name if card else None,
        "version": card.version if card else None,
        "precision": card.precision if card else None,
        "accuracy": card.accuracy if card else None,
        "bytes": entry.size if entry else None,
        "put": entry.dated if entry and is_inside else None,
        "ahead": entry.is_ahead if entry and is_inside else None,
        "refused": found.refused or None,
    }


def _table(rows: Sequence[Row]) -> str:
    cells = [HEADS, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADS))]
    lines = []
    for row, source in zip(cells, [None, *rows], strict=True):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        lines.append(line)
        if source and source["refused"]:
            lines.append(f"{'':{widths[0]}}  refused: {source['refused']}")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    accuracy = row["accuracy"]
    return (
        {"current": "*", "shadow": "shadow"}.get(str(row["role"]), ""),
        str(row["file"]),
        f"{row['name']} {row['version']}" if row["name"] else "-",
        str(row["precision"] or "-"),
        f"{accuracy:.1%}" if isinstance(accuracy, float) else "-",
        f"{float(row['bytes'] or 0) / 1e6:.1f} MB",
        str(row["put"] or "-").replace("T", " ").replace("+00:00", " UTC")
        + (", in the future" if row["ahead"] else ""),
    )
