"""Labels by folders: every sub-folder is a label, its photos are the examples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from model.dataset.posts import DatasetError

SUFFIXES = {".avif", ".gif", ".heic", ".heif", ".jpeg", ".jpg", ".png", ".webp"}


def read(folder: Path, names: Sequence[str] = ()) -> tuple[pa.Table, tuple[str, ...]]:
    """List the photos in a folder's sub-folders.

    Args:
        folder: It has a sub-folder for each label.
        names: The sub-folders, worst first; without them all, by name.

    Returns:
        `id`, `photo` (its path in the folder), `author` (the photo itself) and `label`; the labels' names.

    Raises:
        DatasetError: A sub-folder is missing or empty, or there are less than two.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder} is no folder")
    there = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name[0] != ".")
    names = tuple(names or there)
    if missing := [name for name in names if name not in there]:
        raise DatasetError(f"{folder} has no sub-folder {missing[0]}; there are {', '.join(there) or 'none'}")
    if len(set(names)) < 2:
        raise DatasetError(f"{folder} has {len(set(names))} sub-folders with photos, labels need 2 at least")
    photos: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = _photos(folder, name)
        photos += found
        labels += [label] * len(found)
    return pa.table({"id": photos, "photo": photos, "author": photos, "label": labels}), names


def _photos(folder: Path, name: str) -> list[str]:
    files = sorted(file for file in (folder / name).rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DatasetError(f"{folder / name} has no photos ({', '.join(sorted(SUFFIXES))})")
    return [str(file.relative_to(folder)) for file in files]
