"""A look at every photo of a dataset: which can be read, what they look like. It can be stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from tqdm import tqdm

from model.dataset.hashes import Hashes, perceptual_hash
from model.files import replacing
from model.pixels import PhotoRejected

SIGHTS = "hashes.parquet"
SAVE_EVERY = 60
"""Seconds; so much is lost at most when it is stopped the hard way."""

_CHUNK = 256
"""Photos that are begun before anything is stopped."""
_SCHEMA = pa.schema(
    {
        "photo": pa.string(),
        "bytes": pa.int64(),
        "changed": pa.int64(),  # when the file was, in nanoseconds
        "checksum": pa.uint32(),  # of the file
        "hash": pa.uint64(),
        "fault": pa.string(),
    }
)


@dataclass(frozen=True)
class Looks:
    """What was seen."""

    photos: tuple[str, ...]
    """(p,) those that can be read, sorted."""
    hashes: Hashes
    """(p,) what each looks like."""
    checksums: NDArray[np.uint32]
    """(p,) of their files, for a photo can change and look like before."""
    faults: dict[str, str]
    """Of the others: why not."""


class _Sight(NamedTuple):
    size: int
    changed: int
    checksum: int | None
    hash: int | None
    fault: str | None


def look(folder: Path, photos: Sequence[str], threads: int = 2) -> Looks:
    """Read every photo, except those that were read before and have not changed since.

    Args:
        folder: The dataset, which keeps what was seen in `hashes.parquet`.
        photos: Paths relative to the folder, each once.
        threads: How many photos are decoded at a time.
    """
    photos = sorted(photos)
    folder.mkdir(parents=True, exist_ok=True)
    known = _remembered(folder)
    sights: dict[str, _Sight] = {}
    saved = time.monotonic()
    bar = tqdm(total=len(photos), desc="looking at photos", unit="photo", disable=None)
    try:
        with bar, ThreadPoolExecutor(threads) as pool:
            for begin in range(0, len(photos), _CHUNK):
                chunk = photos[begin : begin + _CHUNK]
                sights.update(zip(chunk, pool.map(partial(_look, folder, known), chunk), strict=True))
                bar.update(len(chunk))
                if time.monotonic() - saved > SAVE_EVERY:
                    _remember(folder, known | sights)
                    saved = time.monotonic()
    finally:
        if any(known.get(photo) != sight for photo, sight in sights.items()):
            _remember(folder, known | sights)
    seen = {photo: sight for photo, sight in sights.items() if sight.hash is not None}
    faults = {photo: sight.fault for photo, sight in sights.items() if sight.fault is not None}
    hashes = np.array([sight.hash for sight in seen.values()], np.uint64)
    checksums = np.array([sight.checksum for sight in seen.values()], np.uint32)
    return Looks(tuple(seen), hashes, checksums, faults)


def _look(folder: Path, known: dict[str, _Sight], photo: str) -> _Sight:
    if "://" in photo:
        return _Sight(0, 0, None, None, "is a URL that nobody has fetched")
    file = folder / photo
    try:
        status = file.stat()
        before = known.get(photo)
        if before and (before.size, before.changed) == (status.st_size, status.st_mtime_ns):
            return before
        content = file.read_bytes()
        known_as = crc32(content), perceptual_hash(content)
        return _Sight(status.st_size, status.st_mtime_ns, *known_as, None)
    except OSError as error:
        return _Sight(0, 0, None, None, error.strerror or str(error))
    except PhotoRejected as error:
        return _Sight(status.st_size, status.st_mtime_ns, None, None, str(error))


def _remembered(folder: Path) -> dict[str, _Sight]:
    try:
        table = pq.read_table(folder / SIGHTS).cast(_SCHEMA)
    # It can be made anew, so that a damaged one is no reason to stop.
    except (OSError, ValueError, pa.ArrowException):
        return {}
    photos, *columns = (column.to_pylist() for column in table.columns)
    return dict(zip(photos, map(_Sight, *columns), strict=True))


def _remember(folder: Path, sights: dict[str, _Sight]) -> None:
    columns = [list(sights), *map(list, zip(*sights.values(), strict=True))]
    table = pa.table(
        [pa.array(column, kind.type) for column, kind in zip(columns, _SCHEMA, strict=True)], _SCHEMA
    )
    with replacing(folder / SIGHTS) as draft:
        pq.write_table(table, draft)


def clear(folder: Path) -> None:
    """Forget what photos looked like that are not there any more."""
    known = _remembered(folder)
    kept = {photo: sight for photo, sight in known.items() if (folder / photo).is_file()}
    if len(kept) == len(known):
        return
    if kept:
        _remember(folder, kept)
    else:
        (folder / SIGHTS).unlink()
