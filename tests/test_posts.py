from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.dataset import engines, posts
from model.dataset.posts import DatasetError
from tests.datasets import columns, write_posts


@pytest.fixture(scope="module")
def duckdb() -> Any:
    return engines.duckdb()


def parquet(folder: Path, count: int, **changed: Any) -> Path:
    """A table of posts that nobody has checked."""
    pq.write_table(pa.table(columns(count, **changed)), folder / "posts.parquet")
    return folder / "posts.parquet"


def test_posts_are_read_as_they_were_written(tmp_path: Path, duckdb: Any) -> None:
    file = posts.find(write_posts(tmp_path, 20, tone=["light", "dark"] * 10))

    table = duckdb.to_pyarrow(posts.read(file, duckdb))

    assert table.column_names == [*posts.SCHEMA.names, "tone"]
    assert table.cast(pa.schema([*posts.SCHEMA, ("tone", pa.string())])) == pa.table(
        columns(20, tone=["light", "dark"] * 10)
    ).cast(pa.schema([*posts.SCHEMA, ("tone", pa.string())]))


def test_a_csv_is_as_good_and_its_ids_stay_what_they_are(tmp_path: Path, duckdb: Any) -> None:
    (tmp_path / "posts.csv").write_text(
        "id,photo,author,followers,likes,tags,posted_at\n"
        "007,a.jpg,12,100,5,2,2024-01-01T10:00:00Z\n"
        "008,b.jpg,13,200,6,0,2024-01-01T10:00:00+02:00\n"
    )

    table = duckdb.to_pyarrow(posts.read(posts.find(tmp_path), duckdb))

    assert table["id"].to_pylist() == ["007", "008"]
    assert table["author"].to_pylist() == ["12", "13"]
    assert [str(time) for time in table["posted_at"].to_pylist()] == [
        "2024-01-01 10:00:00+00:00",
        "2024-01-01 08:00:00+00:00",
    ]


def test_a_day_without_a_time_begins_at_midnight(tmp_path: Path, duckdb: Any) -> None:
    (tmp_path / "posts.csv").write_text(
        "id,photo,author,followers,likes,tags,posted_at\n1,a.jpg,ann,100,5,2,2024-01-31\n"
    )

    table = duckdb.to_pyarrow(posts.read(posts.find(tmp_path), duckdb))

    assert [str(time) for time in table["posted_at"].to_pylist()] == ["2024-01-31 00:00:00+00:00"]


def test_whole_numbers_may_be_written_as_floats(tmp_path: Path, duckdb: Any) -> None:
    table = duckdb.to_pyarrow(posts.read(parquet(tmp_path, 3, likes=[1.0, 2.0, 3.0]), duckdb))

    assert table.schema.field("likes").type == pa.int64()


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"followers": [1.0, np.nan, 3.0]}, "followers of post 000001 is nan, and it must be a whole number"),
        ({"followers": [1.0, 2.5, 3.0]}, r"followers of post 000001 is 2\.5, and it must be a whole number"),
        ({"followers": [1.0, np.inf, 3.0]}, "followers of post 000001 is inf"),
        ({"followers": [1, -5, 3]}, "followers of post 000001 is -5, and it cannot be negative"),
        ({"likes": [1, None, 3]}, "likes of post 000001 is None, and every post needs one"),
        ({"author": ["ann", "", "bob"]}, "author of post 000001 is , and every post needs one"),
        ({"tags": ["#selfie", "#me", "#x"]}, "column tags holds string, it must hold whole numbers"),
        ({"posted_at": ["yesterday"] * 3}, "column posted_at holds string, it must hold times"),
        ({"photo": [1, 2, 3]}, "column photo holds int64, it must hold text"),
        ({"id": ["1", "2", "2"]}, r"post 2 is there more than once \(1 rows too many\)"),
    ],
)
def test_a_wrong_value_is_one_sentence_that_shows_it(
    tmp_path: Path, duckdb: Any, changed: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DatasetError, match=complaint) as refused:
        posts.read(parquet(tmp_path, 3, **changed), duckdb)

    assert "\n" not in str(refused.value)


def test_missing_columns_are_named(tmp_path: Path, duckdb: Any) -> None:
    pq.write_table(pa.table({"id": ["1"], "photo": ["a.jpg"]}), tmp_path / "posts.parquet")

    with pytest.raises(DatasetError, match="has no column author, followers, likes, tags, posted_at"):
        posts.read(tmp_path / "posts.parquet", duckdb)


def test_no_posts_are_no_dataset(tmp_path: Path, duckdb: Any) -> None:
    table = posts.SCHEMA.empty_table()
    pq.write_table(table, tmp_path / "posts.parquet")

    with pytest.raises(DatasetError, match="has no posts"):
        posts.read(tmp_path / "posts.parquet", duckdb)


@pytest.mark.parametrize("name", ["posts.parquet", "posts.csv"])
def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path, duckdb: Any, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00\xff" * 50 + b'"\n')

    with pytest.raises(DatasetError, match=rf"{name} ") as refused:
        posts.read(tmp_path / name, duckdb)

    assert "\n" not in str(refused.value)


def test_a_folder_without_posts_is_told_what_makes_some(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has neither posts\.parquet nor posts\.csv; .*simulate"):
        posts.find(tmp_path)
    with pytest.raises(DatasetError, match="is no folder"):
        posts.find(tmp_path / "missing")


def test_nothing_is_written_of_posts_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="column likes is no int64"):
        write_posts(tmp_path / "data", 3, likes=["many", "few", "none"])

    assert not (tmp_path / "data").exists()


def test_a_write_that_fails_leaves_the_old_posts(tmp_path: Path) -> None:
    write_posts(tmp_path, 3)
    before = (tmp_path / "posts.parquet").read_bytes()

    with pytest.raises(DatasetError, match="no column likes"):
        posts.write(pa.table(columns(5)).drop_columns("likes"), tmp_path)

    assert [file.name for file in tmp_path.iterdir()] == ["posts.parquet"]
    assert (tmp_path / "posts.parquet").read_bytes() == before
