"""Labels that people gave: AVA's votes, folders, and sheets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model.dataset import folders, sheet, votes
from model.dataset.examples import Examples
from model.dataset.posts import DatasetError
from tests.datasets import pattern
from tests.photos import encoded
from tests.test_labels import label


def line(index: int, counts: str, tail: str = "1 22 1396") -> str:
    return f"{index} {953600 + index} {counts} {tail}\n"


# Ten votes each, but for the last.
WORST = "10 0 0 0 0 0 0 0 0 0"
MEAN_4_5 = "0 0 0 5 5 0 0 0 0 0"
MEAN_4_6 = "0 0 0 4 6 0 0 0 0 0"
MEAN_5_4 = "0 0 0 0 6 4 0 0 0 0"
MEAN_5_5 = "0 0 0 0 5 5 0 0 0 0"
BEST = "0 0 0 0 0 0 0 0 0 25"


def ava(folder: Path, *counts: str) -> Path:
    file = folder / "AVA.txt"
    file.write_text("".join(line(index + 1, count) for index, count in enumerate(counts)))
    return file


def test_photos_are_good_or_bad_by_the_mean_of_their_votes_and_dropped_near_5(tmp_path: Path) -> None:
    table = votes.read(ava(tmp_path, WORST, MEAN_4_5, MEAN_4_6, MEAN_5_4, MEAN_5_5, BEST))

    assert table["id"].to_pylist() == ["953601", "953602", "953605", "953606"]
    assert table["photo"].to_pylist()[0] == "953601.jpg"
    assert table["label"].to_pylist() == [0, 0, 1, 1]
    assert table["mean"].to_pylist() == [1, 4.5, 5.5, 10]
    assert table["votes"].to_pylist() == [10, 10, 10, 25]
    assert table["tag"].to_pylist() == [1] * 4
    assert table["challenge"].to_pylist() == [1396] * 4


def test_with_three_labels_the_middle_is_one_of_them(tmp_path: Path) -> None:
    table = votes.read(ava(tmp_path, WORST, MEAN_4_5, MEAN_4_6, MEAN_5_4, MEAN_5_5, BEST), three=True)

    assert table["label"].to_pylist() == [0, 0, 1, 1, 2, 2]


def test_how_near_to_5_is_too_near_can_be_said(tmp_path: Path) -> None:
    file = ava(tmp_path, WORST, MEAN_4_5, MEAN_4_6, MEAN_5_4, MEAN_5_5, BEST)

    assert votes.read(file, drop=0)["label"].to_pylist() == [0, 0, 0, 1, 1, 1]
    assert votes.read(file, drop=2)["label"].to_pylist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            line(1, WORST) + line(2, "many 0 0 0 0 0 0 0 0 0"),
            "no list of votes: could not convert string 'many'",
        ),
        (line(1, WORST) + line(2, "0 " * 10), r"line 2: photo 953602 has votes \[0, 0"),
        (line(1, WORST) + line(2, "-5 10 0 0 0 0 0 0 0 0"), r"line 2: photo 953602 has votes \[-5, 10"),
        (line(1, WORST) * 2, "photo 953601 is there more than once"),
        ("1 2 3\n", "has 3 columns, AVA's list has 15"),
    ],
)
def test_a_wrong_line_is_one_sentence_that_shows_it(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "AVA.txt").write_text(text)

    with pytest.raises(DatasetError, match=complaint) as refused:
        votes.read(tmp_path / "AVA.txt")

    assert "\n" not in str(refused.value)


def test_a_missing_list_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"AVA\.txt cannot be read"):
        votes.read(tmp_path / "AVA.txt")


def make_folders(folder: Path, **counts: int) -> Path:
    for name, count in counts.items():
        for number in range(count):
            file = folder / name.replace("_", "-") / f"{number}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded(pattern(number + 1000 * len(name))))
    return folder


def test_every_sub_folder_is_a_label_in_the_order_that_is_asked_for(tmp_path: Path) -> None:
    make_folders(tmp_path, bird=3, no_bird=2)
    (tmp_path / "bird/notes.txt").write_text("no photo")

    table, names = folders.read(tmp_path, ["no-bird", "bird"])

    assert names == ("no-bird", "bird")
    assert table["photo"].to_pylist() == [
        *("no-bird/0.jpg", "no-bird/1.jpg"),
        *("bird/0.jpg", "bird/1.jpg", "bird/2.jpg"),
    ]
    assert table["label"].to_pylist() == [0, 0, 1, 1, 1]
    assert folders.read(tmp_path)[1] == ("bird", "no-bird")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["bird", "dog"], "has no sub-folder dog; there are bird, empty, no-bird"),
        (["bird"], "has 1 sub-folders with photos, labels need 2 at least"),
        (["bird", "bird"], "has 1 sub-folders"),
        (["bird", "empty"], "empty has no photos"),
    ],
)
def test_folders_that_make_no_labels_are_one_sentence(
    tmp_path: Path, names: list[str], complaint: str
) -> None:
    make_folders(tmp_path, bird=1, no_bird=1)
    (tmp_path / "empty").mkdir()

    with pytest.raises(DatasetError, match=complaint):
        folders.read(tmp_path, names)


def test_a_sheet_has_photo_and_label_and_carries_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "labels.csv"
    file.write_text("photo,label,author,camera\n1.jpg,nice,ann,A\n2.jpg,awful,bob,B\n3.jpg,nice,ann,\n")

    table, names = sheet.read(file, ["awful", "nice"])

    assert names == ("awful", "nice")
    assert table["label"].to_pylist() == [1, 0, 1]
    assert table["author"].to_pylist() == ["ann", "bob", "ann"]
    assert table["id"].to_pylist() == ["1", "2", "3"]
    assert table["camera"].to_pylist() == ["A", "B", None]


def test_a_sheet_without_authors_takes_every_photo_for_its_own(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("photo,label\n1.jpg,1\n2.jpg,0\n")

    table, names = sheet.read(tmp_path / "labels.csv")

    assert names == ("0", "1")
    assert table["author"].to_pylist() == ["1.jpg", "2.jpg"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("photo,stars\n1.jpg,5\n", "has no column label"),
        ("photo,label\n1.jpg,good\n,bad\n", "line 3: photo is empty"),
        ("photo,label\n1.jpg,good\n2.jpg,so-so\n", "label 'so-so' is none of bad, good"),
        ("photo,label,id\n1.jpg,good,7\n2.jpg,bad,7\n", "an id is there more than once"),
        ("photo,label\n1.jpg\n", "cannot be read as a table"),
        ("", "cannot be read as a table"),
    ],
)
def test_a_sheet_with_a_fault_is_one_sentence(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "labels.csv").write_text(text)

    with pytest.raises(DatasetError, match=complaint) as refused:
        sheet.read(tmp_path / "labels.csv", ["bad", "good"])

    assert "\n" not in str(refused.value)


def test_the_command_labels_folders(tmp_path: Path) -> None:
    make_folders(tmp_path, bird=40, no_bird=50)

    done = label(tmp_path, "--folders", "--labels", "no-bird", "bird", "--json")

    assert json.loads(done.stdout)["labels"] == {"no-bird": 50, "bird": 40}
    examples = Examples.load(tmp_path)
    assert [(label.name, label.value) for label in examples.labels] == [("no-bird", 0), ("bird", 1)]
    assert examples.read(0).startswith(b"\xff\xd8")


def test_the_command_labels_by_votes_in_three_ways(tmp_path: Path) -> None:
    file = ava(tmp_path, *[WORST, MEAN_4_6, BEST] * 40)
    (tmp_path / "photos").mkdir()
    for number in range(120):
        (tmp_path / f"photos/{953601 + number}.jpg").write_bytes(encoded(pattern(number)))

    done = label(tmp_path, "--ava", str(file), "--three", "--json")

    assert json.loads(done.stdout)["labels"] == {"bad": 40, "middling": 40, "good": 40}
    assert [label.value for label in Examples.load(tmp_path).labels] == [0, 0.5, 1]


def test_the_command_labels_by_hand_with_photos_elsewhere(tmp_path: Path) -> None:
    make_folders(tmp_path, a=60, bb=60)
    rows = [f"{name}/{number}.jpg,{name},{number % 40}\n" for name in ("a", "bb") for number in range(60)]
    (tmp_path / "labels.csv").write_text("photo,label,author\n" + "".join(rows))

    done = label(tmp_path / "set", "--csv", str(tmp_path / "labels.csv"), "--photos", str(tmp_path), "--json")

    assert json.loads(done.stdout)["labels"] == {"a": 60, "bb": 60}
    assert Examples.load(tmp_path / "set").photos[0] == "../a/0.jpg"


def test_one_label_only_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    make_folders(tmp_path, a=20)
    (tmp_path / "labels.csv").write_text("photo,label\n" + "".join(f"a/{n}.jpg,good\n" for n in range(20)))

    done = label(tmp_path, "--csv", str(tmp_path / "labels.csv"), "--labels", "bad", "good")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "deepselfie: no post is labelled bad; a judge needs some of each of bad, good\n"
    assert not (tmp_path / "labelled.parquet").exists()
