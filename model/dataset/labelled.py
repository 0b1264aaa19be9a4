"""A labelled dataset's two files, written together: `labelled.parquet` and `dataset.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from model.card import Label
from model.dataset.examples import DESCRIPTION, FINGERPRINT, SPLITS, TABLE
from model.dataset.files import replacing
from model.dataset.posts import SCHEMA, DatasetError
from model.dataset.splits import Splitting

_UNIQUE = {"id", "photo"}
"""A dictionary of these would be as long as the column."""


@dataclass(frozen=True)
class Written:
    """What is in a labelled dataset."""

    counts: NDArray[np.int64]
    """Posts by split and label, shape (3, K)."""
    fingerprint: str


@dataclass(frozen=True)
class Description:
    """What `dataset.json` says besides the fingerprint."""

    labels: tuple[Label, ...]
    """Worst first."""
    made: Mapping[str, Any]
    """How, with every constant."""
    splitting: Splitting


def write(
    folder: Path, batches: Iterable[pa.RecordBatch], description: Description, looks: str = ""
) -> Written:
    """Write both files, or neither.

    Args:
        folder: The dataset.
        batches: Its labelled posts, in an order that is always the same.
        description: What the labels are, and where they come from.
        looks: A digest of what the photos look like.

    Raises:
        DatasetError: There are no posts, only one label, or none in one of the splits.
    """
    digest = hashlib.sha256(json.dumps([label.model_dump() for label in description.labels]).encode())
    counts = np.zeros((len(SPLITS), len(description.labels)), np.int64)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / DESCRIPTION) as words, replacing(folder / TABLE) as table:
        writer = None
        for batch in map(_conformed, batches):
            digest.update(_lines(batch))
            counts += _counted(batch, len(description.labels))
            writer = writer or _writer(table, batch.schema)
            writer.write_batch(batch)
        _check(counts, description)
        assert writer
        digest.update(looks.encode())
        writer.add_key_value_metadata({FINGERPRINT: digest.hexdigest()})
        writer.close()
        words.write_text(_text(description, counts, digest.hexdigest()))
    return Written(counts, digest.hexdigest())


def _writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    repeated = [name for name in schema.names if name not in _UNIQUE]
    return pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeated)


def _conformed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Give the known columns their types, for engines differ in zones and widths."""
    for index, name in enumerate(batch.schema.names):
        if name in SCHEMA.names:
            batch = batch.set_column(index, name, batch.column(index).cast(SCHEMA.field(name).type))
    return batch


def _lines(batch: pa.RecordBatch) -> memoryview:
    """Write all that training depends on as text, a line a post."""
    label = batch["label"].cast(pa.string())
    lines = pc.binary_join_element_wise(batch["photo"], label, batch["split"], "\n", "\t")
    length = pc.sum(pc.binary_length(lines)).as_py() or 0
    return memoryview(lines.buffers()[2])[:length] if length else memoryview(b"")


def _counted(batch: pa.RecordBatch, labels: int) -> NDArray[np.int64]:
    split = pc.index_in(batch["split"], pa.array(SPLITS)).to_numpy()
    cells = split * labels + batch["label"].to_numpy()
    return np.bincount(cells, minlength=len(SPLITS) * labels).reshape(-1, labels)


def _check(counts: NDArray[np.int64], description: Description) -> None:
    if not counts.any():
        raise DatasetError("no post is left to label")
    names = [label.name for label in description.labels]
    if missing := [name for name, count in zip(names, counts.sum(axis=0), strict=True) if not count]:
        raise DatasetError(
            f"no post is labelled {missing[0]}; a judge needs some of each of {', '.join(names)}"
        )
    for split, row, share in zip(SPLITS, counts, description.splitting.shares, strict=True):
        for name, count in zip(names, row, strict=True):
            if share and not count:
                raise DatasetError(
                    f"no post labelled {name} fell to {split} ({share} % of the authors); "
                    "use more posts, another --seed, or other --shares"
                )


def _text(description: Description, counts: NDArray[np.int64], fingerprint: str) -> str:
    names = [label.name for label in description.labels]
    content = {
        "labels": [label.model_dump() for label in description.labels],
        "fingerprint": fingerprint,
        "made": dict(description.made),
        "splitting": description.splitting.model_dump(),
        "posts": {
            split: dict(zip(names, row.tolist(), strict=True))
            for split, row in zip(SPLITS, counts, strict=True)
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
