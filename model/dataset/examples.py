"""Labelled photos, as training and evaluation read them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from model.card import Label
from model.dataset.posts import DatasetError

TABLE, DESCRIPTION = "labelled.parquet", "dataset.json"
SPLITS = ("train", "validation", "test")
FINGERPRINT = b"fingerprint"
"""Under this name the table's metadata says which description belongs to it."""

_LABELS = TypeAdapter(tuple[Label, ...])


@dataclass(frozen=True)
class Examples:
    """m labelled posts, and the p photos that they show; one photo may be in several posts."""

    folder: Path
    labels: tuple[Label, ...]
    """K of them, from worst to best."""
    fingerprint: str
    """Changes with anything that training depends on."""
    photos: tuple[str, ...]
    """(p,) paths relative to the folder, each once."""
    photo: NDArray[np.int64]
    """(m,) which of the photos a post shows."""
    label: NDArray[np.int64]
    """(m,) which of the labels it has."""
    split: NDArray[np.str_]
    """(m,) train, validation or test; posts of one photo are always in one split."""
    columns: dict[str, NDArray[Any]]
    """(m,) each: everything else that is known of a post."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a labelled dataset.

        Raises:
            DatasetError: The folder has none, or it contradicts itself.
        """
        labels, fingerprint = _description(folder / DESCRIPTION)
        table = _table(folder / TABLE)
        written = (table.schema.metadata or {}).get(FINGERPRINT, fingerprint.encode())
        if written.decode() != fingerprint:
            raise DatasetError(
                f"{TABLE} and {DESCRIPTION} in {folder} are of two runs; run `deepselfie model label` again"
            )
        photos, photo = np.unique(_array(table["photo"]).astype(np.str_), return_inverse=True)
        label, split = _array(table["label"]).astype(np.int64), _array(table["split"]).astype(np.str_)
        _check(folder, label, len(labels), split, photo)
        others = [name for name in table.column_names if name not in {"photo", "label", "split"}]
        columns = {name: _array(table[name]) for name in others}
        return cls(folder, labels, fingerprint, tuple(photos.tolist()), photo, label, split, columns)

    def part(self, split: str) -> Self:
        """Only the posts of one split, and the photos that they show."""
        here = self.split == split
        kept, photo = np.unique(self.photo[here], return_inverse=True)
        return replace(
            self,
            photos=tuple(self.photos[index] for index in kept),
            photo=photo,
            label=self.label[here],
            split=self.split[here],
            columns={name: column[here] for name, column in self.columns.items()},
        )

    def counts(self) -> NDArray[np.float32]:
        """How many posts of each label a photo has, shape (p, K): soft targets and weights at once."""
        width = len(self.labels)
        cells = np.bincount(self.photo * width + self.label, minlength=len(self.photos) * width)
        return cells.reshape(-1, width).astype(np.float32)

    def read(self, photo_index: int) -> bytes:
        """A photo's file.

        Raises:
            DatasetError: It cannot be read.
        """
        file = self.folder / self.photos[photo_index]
        try:
            return file.read_bytes()
        except OSError as error:
            raise DatasetError(
                f"photo {file} cannot be read: {error.strerror}; `deepselfie model label` leaves it out"
            ) from error


def _description(file: Path) -> tuple[tuple[Label, ...], str]:
    try:
        description = json.loads(file.read_bytes())
        labels = _LABELS.validate_python(description["labels"])
        fingerprint = str(description["fingerprint"])
    except FileNotFoundError:
        raise DatasetError(f"{file} is missing; `deepselfie model label {file.parent}` writes it") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise DatasetError(f"{file} cannot be read: {why}; run `deepselfie model label` again") from error
    if len(labels) < 2:
        raise DatasetError(f"{file} has {len(labels)} labels, a judge needs 2 at least")
    return labels, fingerprint


def _table(file: Path) -> pa.Table:
    try:
        table = pq.read_table(file, partitioning=None)
    except FileNotFoundError:
        raise DatasetError(f"{file} is missing; `deepselfie model label {file.parent}` writes it") from None
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{file} cannot be read: {error}; run `deepselfie model label` again") from error
    for name in ("photo", "label", "split"):
        if name not in table.column_names or table[name].null_count:
            raise DatasetError(
                f"{file} lacks {name}, for some posts at least; run `deepselfie model label` again"
            )
    if not table.num_rows:
        raise DatasetError(f"{file} has no posts")
    return table


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.asarray(column.to_numpy())


def _check(
    folder: Path, label: NDArray[np.int64], labels: int, split: NDArray[np.str_], photo: NDArray[np.int64]
) -> None:
    if not 0 <= label.min() <= label.max() < labels:
        raise DatasetError(
            f"{folder / TABLE} has labels from {label.min()} to {label.max()}, there are {labels}"
        )
    if unknown := sorted(set(np.unique(split).tolist()) - set(SPLITS)):
        raise DatasetError(f"{folder / TABLE} has a split {unknown[0]!r}, there are {', '.join(SPLITS)}")
    first = np.empty(photo.max() + 1, split.dtype)
    first[photo] = split
    if (first[photo] != split).any():
        raise DatasetError(f"{folder / TABLE} has a photo in two splits; run `deepselfie model label` again")
