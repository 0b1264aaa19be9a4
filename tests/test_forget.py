from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from model.collection.held import Held
from model.collection.removal import forget
from model.collection.sources import alone
from model.collection.visitor import CollectionError
from model.dataset.examples import Examples
from model.dataset.photos import look
from model.dataset.posts import DatasetError
from tests.collecting import collect, numbers, photos, renew, rows
from tests.datasets import write_labelled
from tests.instance import Instance, instance


@pytest.fixture
def server() -> Iterator[Instance]:
    with instance() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "selfies"


def label_all(folder: Path, **changed: Any) -> None:
    table = pq.read_table(folder / "posts.parquet").to_pydict()
    count = len(table["id"])
    labels = {"label": [row % 2 for row in range(count)], "split": ["train"] * count}
    write_labelled(folder, table | labels | changed)


def age(folder: Path) -> None:
    """Let two days pass since the posts were read."""
    before = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    file = folder / "sources.jsonl"
    lines = [json.loads(line) | {"read_at": before} for line in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_a_forgotten_post_is_gone_from_everything_that_the_dataset_has(
    server: Instance, folder: Path
) -> None:
    going, staying = server.post(), server.post("bob")
    collect(folder, server)
    label_all(folder)

    removal = forget(folder, f"{server.url}/@ann/{going}")

    assert (removal.posts, removal.photos) == (1, 1)
    assert numbers(folder) == [staying]
    assert pq.read_table(folder / "labelled.parquet")["author"].to_pylist() == [rows(folder)[0]["author"]]
    assert photos(folder) == 1
    for file in folder.glob("*.json*"):
        assert going not in file.read_text()
        assert "ann" not in file.read_text()


def test_a_forgotten_photo_goes_whatever_the_id_that_it_was_labelled_under(
    server: Instance, folder: Path
) -> None:
    going, _ = server.post(), server.post("bob")
    collect(folder, server)
    label_all(folder, id=["1", "2"])
    look(folder, [row["photo"] for row in rows(folder)])
    (folder / "faces.jsonl").write_text("")

    forget(folder, f"{server.url}/@ann/{going}")

    [kept] = rows(folder)
    assert pq.read_table(folder / "labelled.parquet")["photo"].to_pylist() == [kept["photo"]]
    assert pq.read_table(folder / "hashes.parquet")["photo"].to_pylist() == [kept["photo"]]
    assert not (folder / "faces.jsonl").exists()


def test_a_dataset_that_something_was_forgotten_of_is_another_one(server: Instance, folder: Path) -> None:
    going, _ = server.post(), server.post("bob")
    collect(folder, server)
    label_all(folder)
    before = Examples.load(folder).fingerprint

    forget(folder, f"{server.url}/@ann/{going}")

    after = Examples.load(folder)
    described = json.loads((folder / "dataset.json").read_text())["posts"]["train"]
    assert after.fingerprint != before
    assert sum(described.values()) == len(after.label) == 1


@pytest.mark.parametrize(
    "name", ["@ann@{host}", "ann@{host}", "ANN@example.social", "{url}/@ann", "{url}/users/ann/"]
)
def test_an_author_is_forgotten_by_any_of_their_names(server: Instance, folder: Path, name: str) -> None:
    server.post(), server.post("bob"), server.post()
    collect(folder, server)

    removal = forget(folder, name.format(host=server.url.removeprefix("http://"), url=server.url))
    server.post()
    tally = collect(folder, server)

    assert removal.posts == 2
    assert [row["author"].partition("@")[0] for row in rows(folder)] == ["bob"]
    assert set(tally.left_alone) == {"forgotten on request"}


def test_a_forgotten_post_does_not_come_back_when_all_is_read_anew(server: Instance, folder: Path) -> None:
    going, staying = server.post(), server.post()
    collect(folder, server)
    forget(folder, f"{server.url}/users/ann/statuses/{going}")
    (folder / "collection.json").unlink()

    collect(folder, server)

    assert numbers(folder) == [staying]
    assert server.read("/media").count(f"/media/{going}.jpg") == 1


def test_who_was_never_collected_can_be_forgotten_ahead(server: Instance, folder: Path) -> None:
    server.post("bob")
    collect(folder, server)

    assert forget(folder, "@ann@example.social").posts == 0
    server.post()
    collect(folder, server)

    assert len(rows(folder)) == 1


def test_the_list_of_the_forgotten_tells_no_names(server: Instance, folder: Path) -> None:
    server.post("bob")
    collect(folder, server)
    forget(folder, "ann@example.social")
    forget(folder, "ann@example.social")

    [line] = (folder / "forgotten.jsonl").read_text().splitlines()

    assert set(json.loads(line)) == {"salt", "hash", "since"}


def test_without_the_list_of_the_forgotten_nothing_is_collected(server: Instance, folder: Path) -> None:
    server.post()
    folder.mkdir()
    (folder / "forgotten.jsonl").write_text("{}\n")

    with pytest.raises(CollectionError, match="says whose posts must not be taken"):
        collect(folder, server)


def test_a_photo_that_somebody_else_posted_too_stays(server: Instance, folder: Path) -> None:
    first, second = server.post(), server.post("bob")
    server.photos[f"{second}.jpg"] = server.photos[f"{first}.jpg"]
    collect(folder, server)

    assert forget(folder, "ann@example.social").photos == 0
    assert (folder / rows(folder)[0]["photo"]).exists()
    assert forget(folder, "bob@example.social").photos == 1


def test_posts_that_were_not_collected_but_came_in_a_table_are_forgotten_too(folder: Path) -> None:
    outside = folder.parent / "mine.jpg"
    outside.write_bytes(b"not the dataset's")
    (folder / "photos").mkdir(parents=True)
    (folder / "photos/1.jpg").write_bytes(b"photo")
    (folder / "posts.csv").write_text(
        "id,photo,author,followers,likes,tags,posted_at\n"
        "1,photos/1.jpg,ann,5,1,1,2026-01-01 00:00:00\n"
        "2,../mine.jpg,Ann,5,1,1,2026-01-01 00:00:00\n"
        "3,photos/3.jpg,bob,5,1,1,2026-01-01 00:00:00\n"
    )

    removal = forget(folder, "ann")

    assert (removal.posts, removal.photos) == (2, 1)
    assert [row["id"] for row in rows(folder)] == ["3"]
    assert not (folder / "posts.csv").exists()
    assert outside.exists()


def test_what_is_no_dataset_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"has neither posts\.parquet nor posts\.csv"):
        forget(tmp_path, "ann")
    assert list(tmp_path.iterdir()) == []


def test_a_forgetting_that_was_cut_off_is_finished_by_whatever_comes_next(
    server: Instance, folder: Path
) -> None:
    going, staying = server.post(), server.post("bob")
    collect(folder, server)
    held = Held(folder)
    held.give_up([row["id"] for row in rows(folder) if row["id"].endswith(going)])
    assert len(rows(folder)) == 2

    Held(folder).publish()

    assert numbers(folder) == [staying]


def test_two_cannot_change_a_dataset_at_once(tmp_path: Path) -> None:
    with (
        alone(tmp_path),
        pytest.raises(CollectionError, match="another process is collecting into"),
        alone(tmp_path),
    ):
        pass


def test_likes_that_came_later_are_read_later(server: Instance, folder: Path) -> None:
    id_ = server.post(favourites_count=1)
    collect(folder, server)
    age(folder)
    status = server.status(id_)
    assert status
    status["favourites_count"] = 50
    status["account"]["followers_count"] = 900

    renewal = renew(folder, server)

    assert (renewal.read, renewal.gone) == (1, 0)
    assert [(row["likes"], row["followers"]) for row in rows(folder)] == [(50, 900)]


@pytest.mark.parametrize("reads_many", [True, False])
def test_what_was_deleted_since_goes_from_the_dataset(
    server: Instance, folder: Path, reads_many: bool
) -> None:
    server.reads_many = reads_many
    ids = [server.post() for _ in range(45)]
    collect(folder, server)
    label_all(folder)
    age(folder)
    server.delete(ids[7])

    renewal = renew(folder, server)

    assert (renewal.read, renewal.gone) == (44, 1)
    assert ids[7] not in numbers(folder)
    assert len(pq.read_table(folder / "labelled.parquet")) == 44
    assert photos(folder) == 44


def test_what_one_answer_leaves_out_is_not_taken_for_deleted(server: Instance, folder: Path) -> None:
    server.post(), server.post()
    collect(folder, server)
    age(folder)
    server.reads_many = False

    assert renew(folder, server).gone == 0
    assert len(rows(folder)) == 2


def test_who_wants_no_bots_by_now_goes_too(server: Instance, folder: Path) -> None:
    id_ = server.post()
    collect(folder, server)
    age(folder)
    status = server.status(id_)
    assert status
    status["account"]["note"] = "#nobot"

    assert renew(folder, server).gone == 1
    assert photos(folder) == 0


def test_a_post_whose_photo_was_exchanged_goes_and_one_whose_photo_moved_stays(
    server: Instance, folder: Path
) -> None:
    moved, exchanged = server.post(), server.post()
    collect(folder, server)
    age(folder)
    for id_, url in (
        (moved, f"https://files.example/x/{moved}.jpg"),
        (exchanged, f"{server.url}/media/9.jpg"),
    ):
        status = server.status(id_)
        assert status
        status["media_attachments"][0]["url"] = url

    assert renew(folder, server).gone == 1
    assert numbers(folder) == [moved]


def test_what_was_read_today_is_not_read_again(server: Instance, folder: Path) -> None:
    server.post()
    collect(folder, server)

    assert renew(folder, server).read == 0
    assert server.read("/api/v1/statuses") == []
