"""The table of posts that a dataset begins with: what is in it, how it is read, written and checked."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from model.files import replacing

PARQUET, CSV = "posts.parquet", "posts.csv"
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "photo": pa.string(),  # its path, relative to the folder, or a URL until it is fetched
        "author": pa.string(),
        "followers": pa.int64(),
        "likes": pa.int64(),
        "tags": pa.int64(),  # how many
        "posted_at": pa.timestamp("us", tz="UTC"),
    }
)
"""One row a post. Any further columns are carried along."""

TEXTS = ("id", "photo", "author")
NUMBERS = ("followers", "likes", "tags")
_MOST = 2**53
"""Up to here a float can be any whole number."""
_KINDS = dict.fromkeys(TEXTS, "text") | dict.fromkeys(NUMBERS, "whole numbers") | {"posted_at": "times"}


class DatasetError(Exception):
    """Something that a dataset cannot be made of, or read from: one sentence."""


def find(folder: Path) -> Path:
    """Where a dataset's table of posts is: posts.parquet, or else posts.csv.

    Raises:
        DatasetError: The folder has neither.
    """
    for name in (PARQUET, CSV):
        if (folder / name).is_file():
            return folder / name
    what = f"has neither {PARQUET} nor {CSV}" if folder.is_dir() else "is no folder"
    raise DatasetError(f"{folder} {what}; `deepselfie model simulate` or `collect` makes a dataset")


def write(posts: pa.Table, folder: Path) -> None:
    """Write a dataset's table of posts, whole or not at all.

    Raises:
        DatasetError: A column is missing or is not what it should be.
    """
    _check_names(posts.column_names, PARQUET)
    for name in SCHEMA.names:
        try:
            column = posts[name].cast(SCHEMA.field(name).type)
        except pa.ArrowInvalid as error:
            raise DatasetError(f"{PARQUET}: column {name} is no {SCHEMA.field(name).type}: {error}") from None
        posts = posts.set_column(posts.column_names.index(name), SCHEMA.field(name), column)
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / PARQUET) as draft:
        pq.write_table(posts, draft, compression="zstd")


def read(file: Path, engine: Any) -> ibis.Table:
    """Open a table of posts on an engine, and look at every row for what must not be.

    Args:
        file: A Parquet or CSV file.
        engine: An Ibis backend, see `engines.py`.

    Returns:
        An Ibis table with the columns of SCHEMA, numbers being int64, and all others of the file.

    Raises:
        DatasetError: The file cannot be read, or a column is missing, of another kind, or has a wrong value.
    """
    try:
        posts = _opened(file, engine)
    # Each engine has errors of its own, and a file can be broken in any way.
    except Exception as error:
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise DatasetError(f"{file} cannot be read as a table: {reason}") from error
    _check_names(posts.columns, file.name)
    _check_kinds(posts, file.name)
    _check_values(posts, file.name, engine)
    return posts.mutate(**{name: posts[name].cast("int64") for name in NUMBERS})


def _opened(file: Path, engine: Any) -> ibis.Table:
    if not file.is_file():
        raise FileNotFoundError("there is no such file")
    if file.suffix != ".csv":
        return engine.read_parquet(str(file))
    # Engines disagree about what in a CSV is a number or a date, so that only one reader is asked.
    texts = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(TEXTS, pa.string()), strings_can_be_null=True
    )
    table = pyarrow.csv.read_csv(file, convert_options=texts)
    for index, field in enumerate(table.schema):
        # A day without a time begins at midnight.
        if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
            time = SCHEMA.field("posted_at").type
            table = table.set_column(index, field.name, table[field.name].cast(time))
    return ibis.memtable(table)


def _check_names(found: Collection[str], file: str) -> None:
    if missing := [name for name in SCHEMA.names if name not in found]:
        raise DatasetError(
            f"{file} has no column {', '.join(missing)}; a table of posts has {', '.join(SCHEMA.names)}"
        )


def _check_kinds(posts: ibis.Table, file: str) -> None:
    for name, wanted in _KINDS.items():
        kind: Any = posts[name].type()
        right = {"text": kind.is_string(), "whole numbers": kind.is_numeric(), "times": kind.is_timestamp()}
        if not right[wanted]:
            raise DatasetError(f"{file}: column {name} holds {kind}, it must hold {wanted}")


def _check_values(posts: ibis.Table, file: str, engine: Any) -> None:
    """Look for all faults in one pass; only where there is one, look at it more closely."""
    faults = list(_faults(posts))
    counts = {str(number): condition.sum() for number, (_, condition, _) in enumerate(faults)}
    total = posts.aggregate(rows=posts.count(), ids=posts.id.nunique(), **counts)
    found = engine.to_pyarrow(total).to_pylist()[0]
    if not found["rows"]:
        raise DatasetError(f"{file} has no posts")
    for number, (name, condition, limit) in enumerate(faults):
        if count := found[str(number)]:
            wrong = posts.filter(condition).select(post="id", value=name).order_by("post").limit(1)
            first = engine.to_pyarrow(wrong).to_pylist()[0]
            raise DatasetError(
                f"{file}: {name} of post {first['post']} is {first['value']}, and {limit} "
                f"({count:,} of {found['rows']:,} posts are like that)"
            )
    if twice := found["rows"] - found["ids"]:
        again = posts.group_by("id").having(posts.count() > 1).agg().order_by("id").limit(1)
        first = engine.to_pyarrow(again)["id"][0]
        raise DatasetError(f"{file}: post {first} is there more than once ({twice:,} rows too many)")


def _faults(posts: ibis.Table) -> Iterator[tuple[str, Any, str]]:
    """Every fault that a row can have: in which column, what it is, and what should be."""
    for name in SCHEMA.names:
        yield name, posts[name].isnull(), "every post needs one"
    for name in TEXTS:
        yield name, posts[name] == "", "every post needs one"
    for name in NUMBERS:
        column = posts[name]
        if column.type().is_floating():
            # NaN is larger than all others, and infinity is no int64.
            whole = column.between(-_MOST, _MOST) & (column % 1 == 0)
            yield name, ~whole, "it must be a whole number"
        yield name, column < 0, "it cannot be negative"
