"""A dataset's table of posts as it is, in memory, for steps that add a column or take rows away."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from model.dataset.posts import CSV, SCHEMA, DatasetError, find


def read_posts(folder: Path) -> pa.Table:
    """Read posts.parquet, or posts.csv; their values are not looked at.

    Raises:
        DatasetError: There is none, or it is no table, or has no ids or photos.
    """
    file = find(folder)
    try:
        if file.name == CSV:
            kinds = {name: SCHEMA.field(name).type for name in ("id", "photo", "author")}
            table = pyarrow.csv.read_csv(file, convert_options=pyarrow.csv.ConvertOptions(column_types=kinds))
        else:
            table = pq.read_table(file)
    except (pa.ArrowInvalid, OSError) as error:
        raise DatasetError(f"{file} cannot be read as a table: {error}") from None
    if missing := {"id", "photo"} - set(table.column_names):
        raise DatasetError(f"{file} has no column {', '.join(sorted(missing))}")
    return table
