from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.dataset.examples import Examples
from model.dataset.posts import DatasetError
from tests.datasets import write_labelled

TABLE: dict[str, Any] = {
    "id": ["1", "2", "3", "4", "5"],
    "photo": ["b.jpg", "a.jpg", "b.jpg", "c.jpg", "b.jpg"],
    "label": [1, 0, 0, 1, 1],
    "split": ["train", "train", "train", "test", "train"],
    "followers": [10, 20, 30, None, 50],
}


def test_every_photo_is_there_once_however_often_it_was_posted(tmp_path: Path) -> None:
    examples = Examples.load(write_labelled(tmp_path, TABLE))

    assert examples.photos == ("a.jpg", "b.jpg", "c.jpg")
    assert [examples.photos[index] for index in examples.photo] == TABLE["photo"]
    assert [label.name for label in examples.labels] == ["bad", "good"]


def test_counts_tell_how_many_posts_of_each_label_a_photo_has(tmp_path: Path) -> None:
    counts = Examples.load(write_labelled(tmp_path, TABLE)).counts()

    assert counts.tolist() == [[1, 0], [1, 2], [0, 1]]
    assert counts.dtype == np.float32


def test_a_part_has_the_posts_of_its_split_and_the_photos_that_they_show(tmp_path: Path) -> None:
    examples = Examples.load(write_labelled(tmp_path, TABLE))

    train, test = examples.part("train"), examples.part("test")

    assert (train.photos, test.photos) == (("a.jpg", "b.jpg"), ("c.jpg",))
    assert train.photo.tolist() == [1, 0, 1, 1]
    assert train.columns["id"].tolist() == ["1", "2", "3", "5"]
    assert test.counts().tolist() == [[0, 1]]
    assert examples.part("validation").counts().shape == (0, 2)


def test_other_columns_are_kept_for_slices(tmp_path: Path) -> None:
    examples = Examples.load(write_labelled(tmp_path, TABLE))

    assert set(examples.columns) == {"id", "followers"}
    assert np.isnan(examples.columns["followers"][3])


def test_a_photo_is_read_from_the_folder(tmp_path: Path) -> None:
    examples = Examples.load(write_labelled(tmp_path, TABLE))
    (tmp_path / "b.jpg").write_bytes(b"photo")

    assert examples.read(1) == b"photo"
    with pytest.raises(DatasetError, match=r"photo .*a\.jpg cannot be read: No such file"):
        examples.read(0)


def test_two_hundred_thousand_posts_are_read_in_seconds(tmp_path: Path) -> None:
    number = np.arange(200_000)
    photo = [f"photos/{index:06}.jpg" for index in number // 20]
    table = {"id": number.astype(str), "photo": photo, "label": number % 2, "split": ["train"] * len(number)}
    folder = write_labelled(tmp_path, table)

    begin = time.process_time()
    counts = Examples.load(folder).part("train").counts()

    assert counts.tolist() == [[10, 10]] * 10_000
    assert time.process_time() - begin < 5


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"label": [1, 0, 0, 2, 1]}, "labels from 0 to 2, there are 2"),
        ({"label": [1, 0, None, 1, 1]}, "lacks label"),
        ({"split": ["train", "train", "test", "test", "train"]}, "a photo in two splits"),
        ({"split": ["train", "train", "train", "exam", "train"]}, "split 'exam'"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(
    tmp_path: Path, changed: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(DatasetError, match=complaint):
        Examples.load(write_labelled(tmp_path, TABLE | changed))


def test_what_is_missing_is_named_with_the_command_that_writes_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"dataset\.json is missing; `deepselfie model label"):
        Examples.load(tmp_path)

    (write_labelled(tmp_path, TABLE) / "labelled.parquet").unlink()
    with pytest.raises(DatasetError, match=r"labelled\.parquet is missing; `deepselfie model label"):
        Examples.load(tmp_path)


@pytest.mark.parametrize("name", ["dataset.json", "labelled.parquet"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (write_labelled(tmp_path, TABLE) / name).write_text("{")

    with pytest.raises(DatasetError, match=rf"{name} cannot be read"):
        Examples.load(tmp_path)


def test_files_of_two_runs_do_not_go_together(tmp_path: Path) -> None:
    folder = write_labelled(tmp_path, TABLE)
    table = pa.table(TABLE).replace_schema_metadata({"fingerprint": "0" * 64})
    pq.write_table(table, folder / "labelled.parquet")

    with pytest.raises(DatasetError, match="of two runs"):
        Examples.load(folder)
