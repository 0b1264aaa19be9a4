"""Labels by votes: AVA's list of photographs, as CharLeNet used it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from model.dataset.posts import DatasetError

MIDDLE = 5
"""Of the scores from 1 to 10, as AVA's readers see it."""

_COLUMNS = 15
_SCORES = np.arange(1, 11)


def read(file: Path, *, drop: float = 0.5, three: bool = False) -> pa.Table:
    """Read AVA.txt and label its photos by the mean of their votes.

    Args:
        file: One photo a line: index, image id, how many votes for 1 to 10, two semantic tags, challenge.
        drop: Photos whose mean is nearer than this to 5 are neither good nor bad.
        three: Whether those make a label of their own, between the two; else they are left out.

    Returns:
        `id`, `photo` (`ID.jpg`), `author` (the photo itself: AVA does not tell), `label` (worst first),
        `votes`, `mean`, `tag` and `other_tag` (0 for none), `challenge`.

    Raises:
        DatasetError: The file cannot be read, a line is wrong, or a photo is there twice or has no votes.
    """
    rows = _rows(file)
    votes, ids = rows[:, 2:12], rows[:, 1]
    total = votes.sum(axis=1)
    # Sums of whole numbers, so that 4.5 is exactly 4.5.
    lead = votes @ (_SCORES - MIDDLE)
    bad, good = lead <= -drop * total, lead >= drop * total
    # With no distance at all, five is good.
    label = np.where(good, 2 if three else 1, np.where(bad, 0, 1))
    kept = np.full(len(rows), True) if three else bad | good
    names = ids.astype(np.str_)
    table = pa.table(
        {
            "id": names,
            "photo": np.strings.add(names, ".jpg"),
            "author": names,
            "label": label,
            "votes": total,
            "mean": MIDDLE + lead / total,
            "tag": rows[:, 12],
            "other_tag": rows[:, 13],
            "challenge": rows[:, 14],
        }
    )
    return table.filter(pa.array(kept))


def _rows(file: Path) -> np.ndarray:
    try:
        rows = np.loadtxt(file, np.int64, ndmin=2)
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        reason = str(error).partition(";")[0].rstrip(".")
        raise DatasetError(f"{file} is no list of votes: {reason}") from None
    if not rows.size or rows.shape[1] != _COLUMNS:
        raise DatasetError(
            f"{file} has {rows.shape[1] if rows.size else 0} columns, AVA's list has {_COLUMNS}"
        )
    votes = rows[:, 2:12]
    wrong = (votes < 0).any(axis=1) | (votes.sum(axis=1) == 0)
    if wrong.any():
        line = int(wrong.argmax())
        raise DatasetError(f"{file}, line {line + 1}: photo {rows[line, 1]} has votes {votes[line].tolist()}")
    ids, counts = np.unique(rows[:, 1], return_counts=True)
    if (counts > 1).any():
        raise DatasetError(f"{file}: photo {ids[counts > 1][0]} is there more than once")
    return rows
