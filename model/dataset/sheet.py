"""Labels by hand: a CSV file with a photo and its label a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from model.dataset.posts import DatasetError


def read(file: Path, names: Sequence[str] = ()) -> tuple[pa.Table, tuple[str, ...]]:
    """Read a sheet of labels.

    Args:
        file: A CSV file with the columns `photo` and `label`, if need be `author` and `id`, and any others.
        names: The labels, worst first; without them all that there are, by name.

    Returns:
        `id` (else the number of the row), `photo`, `author` (else the photo itself), `label` as an index,
        and all other columns; the labels' names.

    Raises:
        DatasetError: The file cannot be read, lacks a column or a value, or has a label that was not named.
    """
    sheet = _sheet(file)
    there = sorted(set(sheet["label"].to_pylist()))
    names = tuple(names or there)
    if unknown := [name for name in there if name not in names]:
        raise DatasetError(f"{file}: label {unknown[0]!r} is none of {', '.join(names)}; see --labels")
    columns = {
        "id": pc.cast(pa.array(range(1, len(sheet) + 1)), pa.string()),
        "author": sheet["photo"],
        **dict(zip(sheet.column_names, sheet.columns, strict=True)),
        "label": pc.index_in(sheet["label"], pa.array(names)).cast(pa.int64()),
    }
    return pa.table(columns), names


def _sheet(file: Path) -> pa.Table:
    texts = dict.fromkeys(("id", "photo", "author", "label"), pa.string())
    options = pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=True, null_values=[""])
    try:
        sheet = pyarrow.csv.read_csv(file, convert_options=options)
    except FileNotFoundError:
        raise DatasetError(f"{file} cannot be read: there is no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise DatasetError(f"{file} cannot be read as a table: {str(error).partition(chr(10))[0]}") from error
    for name in ("photo", "label"):
        if name not in sheet.column_names:
            raise DatasetError(f"{file} has no column {name}; it needs photo and label, and may have author")
    for name in set(texts) & set(sheet.column_names):
        if sheet[name].null_count:
            line = sheet[name].to_pylist().index(None) + 2
            raise DatasetError(f"{file}, line {line}: {name} is empty")
    if "id" in sheet.column_names and len(set(sheet["id"].to_pylist())) < len(sheet):
        raise DatasetError(f"{file}: an id is there more than once")
    return sheet
