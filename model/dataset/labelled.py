"""A labelled dataset's two files, written together: `labelled.parquet` and `dataset.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
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
from model.dataset.posts import SCHEMA, DatasetError
from model.dataset.splits import Splitting
from model.files import replacing

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


def remove(folder: Path, ids: Collection[str], photos: Collection[str]) -> None:
    """Take posts out of a labelled dataset, which is another one from then on, with another fingerprint.

    Args:
        folder: The dataset.
        ids: The posts.
        photos: What is shown by posts that go, too, whatever their ids: labels may come from elsewhere.
    """
    if not (folder / TABLE).exists():
        return
    table = pq.read_table(folder / TABLE, partitioning=None)
    going = pc.is_in(table["photo"], pa.array(list(photos), pa.string()))
    if "id" in table.column_names:
        going = pc.or_(going, pc.is_in(table["id"], pa.array(list(ids), pa.string())))
    if not pc.any(going).as_py():
        return
    metadata = table.schema.metadata or {}
    digest = hashlib.sha256(metadata.get(FINGERPRINT, b""))
    digest.update("\n".join(table["photo"].filter(going).to_pylist()).encode())
    rest = table.filter(pc.invert(going))
    rest = rest.replace_schema_metadata(metadata | {FINGERPRINT: digest.hexdigest().encode()})
    with replacing(folder / TABLE) as draft:
        pq.write_table(rest, draft, compression="zstd")
        try:
            words = _thinned(folder / DESCRIPTION, rest, digest.hexdigest())
        # Nobody can load it as it is, and what is to go must go all the same.
        except (OSError, ValueError, KeyError, TypeError):
            return
        with replacing(folder / DESCRIPTION) as description:
            description.write_text(words)


def _thinned(file: Path, rest: pa.Table, fingerprint: str) -> str:
    content = json.loads(file.read_bytes())
    names = [label["name"] for label in content["labels"]]
    counts = sum(
        (_counted(batch, len(names)) for batch in rest.to_batches()),
        np.zeros((len(SPLITS), len(names)), np.int64),
    )
    return _dumped(content | {"fingerprint": fingerprint, "posts": _posts(names, counts)})


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
    """Write all that training depends on as text, a line a post; pairs and shots are in further columns."""
    further = [
        field.name
        for field in batch.schema
        if field.name not in {*SCHEMA.names, "label", "split"}
        and (pa.types.is_string(field.type) or pa.types.is_integer(field.type))
    ]
    texts = (batch[name].cast(pa.string()) for name in ("photo", "label", "split", *sorted(further)))
    lines = pc.binary_join_element_wise(*texts, "\n", "\t", null_handling="replace")
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
        "posts": _posts(names, counts),
    }
    return _dumped(content)


def _posts(names: Sequence[str], counts: NDArray[np.int64]) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip(names, row.tolist(), strict=True)) for split, row in zip(SPLITS, counts, strict=True)
    }


def _dumped(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
