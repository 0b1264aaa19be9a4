"""How many faces a dataset's photos show, and how large the largest is: columns of its table of posts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from model.dataset import posts
from model.dataset.faces_detectors import DETECTORS, Detector
from model.dataset.faces_frame import Boxes, Frame, framed
from model.dataset.table import read_posts
from model.pixels import PhotoRejected

JOURNAL = "faces.jsonl"
"""What was found in a run that is yet to reach the table."""
COLUMNS = {"faces": pa.int64(), "largest_face": pa.float64(), "faces_by": pa.string()}

Faces = tuple[int, float]
"""How many, and the height of the largest over the photo's."""


@dataclass(frozen=True)
class Search:
    """How to look."""

    detector: str = "blazeface"
    batch: int = 64
    """Photos in memory at a time."""
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    again: bool = False
    """Look also at what this detector has looked at before."""


@dataclass(frozen=True)
class Outcome:
    """What came of it."""

    looked_at: int
    """Photos, in this run."""
    posts: int
    with_faces: int
    """Posts whose photos show at least one face."""
    unread: dict[str, str]
    """Photos that could not be looked at, and why: their posts have no number of faces."""


def find_faces(
    folder: Path, search: Search, start: Callable[[int], None], note: Callable[[int], None]
) -> Outcome:
    """Look at all photos that were not looked at before, and write what was found into the table of posts.

    Args:
        folder: The dataset.
        search: How to look.
        start: Is told how many photos there are to look at.
        note: Is told how many more were.

    Raises:
        DatasetError: There is no table, or the detector is not installed.
    """
    table = read_posts(folder)
    journal = folder / JOURNAL
    known = {} if search.again else _before(table, search.detector)
    known |= _resumed(journal, search.detector)
    photos = [photo for photo in dict.fromkeys(table["photo"].to_pylist()) if photo not in known]
    start(len(photos))
    unread: dict[str, str] = {}
    detector = DETECTORS[search.detector](search.threads)
    with journal.open("a", encoding="utf-8") as file:
        for found in _batches(folder, photos, detector, search):
            seen = {photo: faces for photo, faces in found.items() if not isinstance(faces, str)}
            unread |= {photo: why for photo, why in found.items() if isinstance(why, str)}
            file.writelines(
                json.dumps([search.detector, name, *faces]) + "\n" for name, faces in seen.items()
            )
            file.flush()
            known |= seen
            note(len(found))
    table = _with_columns(table, known, search.detector)
    posts.write(table, folder)
    journal.unlink()
    with_faces = sum(1 for count in table["faces"].to_pylist() if count)
    return Outcome(len(photos), table.num_rows, with_faces, unread)


def measure(boxes: Boxes, frame: Frame) -> Faces:
    """Count a photo's faces, and compare the largest one's height with the photo's."""
    if not len(boxes):
        return 0, 0.0
    top = (len(frame.pixels) - frame.height) / 2
    edges = np.clip(boxes[:, [1, 3]], top, top + frame.height)
    return len(boxes), round(float(np.max(edges[:, 1] - edges[:, 0])) / frame.height, 4)


def _batches(
    folder: Path, photos: Sequence[str], detector: Detector, search: Search
) -> Iterator[dict[str, Faces | str]]:
    """What each photo shows, or why it cannot be told; one batch is decoded while another is looked at."""
    parts = [photos[start : start + search.batch] for start in range(0, len(photos), search.batch)]
    with ThreadPoolExecutor(search.threads) as pool:
        ahead = None
        for number, part in enumerate(parts):
            decoding = ahead or [pool.submit(_decoded, folder, photo, detector.side) for photo in part]
            following = parts[number + 1] if number + 1 < len(parts) else []
            ahead = [pool.submit(_decoded, folder, photo, detector.side) for photo in following]
            frames = {photo: future.result() for photo, future in zip(part, decoding, strict=True)}
            whole = {photo: frame for photo, frame in frames.items() if isinstance(frame, Frame)}
            found = detector(list(whole.values())) if whole else []
            faces = {photo: measure(boxes, whole[photo]) for photo, boxes in zip(whole, found, strict=True)}
            yield {
                photo: frame if isinstance(frame, str) else faces[photo] for photo, frame in frames.items()
            }


def _decoded(folder: Path, photo: str, side: int) -> Frame | str:
    if "://" in photo:
        return "is a URL yet: `deepselfie model collect --table` fetches it"
    try:
        return framed((folder / photo).read_bytes(), side)
    except PhotoRejected as error:
        return str(error)
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _before(table: pa.Table, detector: str) -> dict[str, Faces]:
    """What the table knows of earlier runs of a detector."""
    if not set(COLUMNS) <= set(table.column_names):
        return {}
    rows = zip(*(table[name].to_pylist() for name in ("photo", *COLUMNS)), strict=True)
    return {photo: (faces, size) for photo, faces, size, by in rows if by == detector}


def _resumed(journal: Path, detector: str) -> dict[str, Faces]:
    """What a run that was interrupted has found; its last line may be half there."""
    found: dict[str, Faces] = {}
    for line in journal.read_text().splitlines() if journal.exists() else []:
        try:
            by, photo, faces, size = json.loads(line)
        except ValueError:
            continue
        if by == detector:
            found[photo] = (faces, size)
    return found


def _with_columns(table: pa.Table, known: dict[str, Faces], detector: str) -> pa.Table:
    rows = [
        (*known[photo], detector) if photo in known else (None, None, None)
        for photo in table["photo"].to_pylist()
    ]
    for number, (name, kind) in enumerate(COLUMNS.items()):
        column = pa.array([row[number] for row in rows], kind)
        if name in table.column_names:
            table = table.set_column(table.column_names.index(name), name, column)
        else:
            table = table.append_column(name, column)
    return table
