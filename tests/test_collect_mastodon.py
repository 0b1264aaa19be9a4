from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from model.collection.visitor import CollectionError
from tests.collecting import collect, numbers, photos, rows
from tests.instance import BROKEN, START, Fault, Instance, instance


@pytest.fixture
def server() -> Iterator[Instance]:
    with instance() as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "selfies"


def test_a_post_is_collected_with_its_photo_its_likes_and_its_audience(
    server: Instance, folder: Path
) -> None:
    id_ = server.post(favourites_count=12, account={"followers_count": 345})

    collect(folder, server)

    [row] = rows(folder)
    host = server.url.removeprefix("http://")
    assert (row["id"], row["author"]) == (f"{host}/{id_}", f"ann@{host}")
    assert (row["likes"], row["followers"], row["tags"]) == (12, 345, 2)
    assert row["posted_at"] == datetime(2026, 1, 1, 1, tzinfo=UTC)
    assert (folder / row["photo"]).read_bytes() == server.photos[f"{id_}.jpg"]


def test_the_record_of_sources_says_where_each_photo_came_from(server: Instance, folder: Path) -> None:
    id_ = server.post()

    collect(folder, server)

    [source] = map(json.loads, (folder / "sources.jsonl").read_text().splitlines())
    assert source["post"]["url"] == f"{server.url}/@ann/{id_}"
    assert source["post"]["photo"] == f"{server.url}/media/{id_}.jpg"
    assert source["file"] == rows(folder)[0]["photo"]
    assert (source["network"], source["server"]) == ("mastodon", server.url)


def test_all_pages_are_read_and_the_newest_post_first(server: Instance, folder: Path) -> None:
    for _ in range(95):
        server.post()

    tally = collect(folder, server)

    assert (tally.collected, tally.all_read) == (95, True)
    assert len(server.read("/api/v1/timelines")) == 4
    assert server.read("/media")[0] == "/media/1095.jpg"


def test_servers_see_who_calls_and_whom_to_write_to(server: Instance, folder: Path) -> None:
    collect(folder, server)

    [agent] = server.agents
    assert agent.startswith("deepselfie/")
    assert "https://example.com/about" in agent


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"visibility": "unlisted"}, "not public"),
        ({"sensitive": True}, "sensitive"),
        ({"spoiler_text": "eye contact"}, "sensitive"),
        ({"content": "<p>no machines please #<span>nobot</span></p>"}, "author wants no bots"),
        ({"account": {"note": '<a href="/tags/nobot">#<span>NoBot</span></a>'}}, "author wants no bots"),
        ({"account": {"note": "hello &#35;noindex"}}, "author wants no bots"),
        ({"account": {"fields": [{"name": "rules", "value": "#nobots"}]}}, "author wants no bots"),
        ({"account": {"noindex": True}}, "author wants no bots"),
        ({"account": {"indexable": False}}, "author is not to be found"),
        ({"account": {"discoverable": False}}, "author is not to be found"),
        ({"account": {"acct": "bob@elsewhere.example"}}, "not local"),
        ({"account": {"followers_count": -1}}, "not understood"),
        ({"media_attachments": []}, "not one photo"),
        ({"media_attachments": [{"type": "video", "url": "https://x.example/v"}]}, "not one photo"),
        ({"created_at": "yesterday"}, "not understood"),
    ],
)
def test_who_or_what_is_to_be_left_alone_is(
    server: Instance, folder: Path, changes: dict[str, Any], why: str
) -> None:
    server.post(**changes)
    taken = server.post()

    tally = collect(folder, server)

    assert dict(tally.left_alone) == {why: 1}
    assert numbers(folder) == [taken]
    assert server.read("/media") == [f"/media/{taken}.jpg"]


def test_who_says_nothing_of_being_found_is_collected(server: Instance, folder: Path) -> None:
    id_ = server.post(account={"discoverable": None, "indexable": None, "note": "I am no robot, #nobody is"})

    collect(folder, server)

    assert numbers(folder) == [id_]


def test_sensitive_posts_are_taken_where_the_operator_wants_them(server: Instance, folder: Path) -> None:
    id_ = server.post(sensitive=True)

    collect(folder, server, sensitive=True)

    assert numbers(folder) == [id_]


def test_a_photo_on_another_host_is_not_fetched(server: Instance, folder: Path) -> None:
    server.post(media_attachments=[{"type": "image", "url": "http://169.254.169.254/photo.jpg"}])
    server.post(media_attachments=[{"type": "image", "url": "http://[nonsense/photo.jpg"}])

    tally = collect(folder, server)

    assert dict(tally.left_alone) == {"photo is on another host": 1, "photo's URL makes no sense": 1}


def test_robots_txt_is_obeyed_for_photos_too(server: Instance, folder: Path) -> None:
    server.robots = "User-agent: *\nDisallow: /media/"
    server.post()

    tally = collect(folder, server)

    assert dict(tally.left_alone) == {"robots.txt keeps us from the photo": 1}
    assert server.read("/media") == []


def test_what_is_too_large_or_no_photo_is_left_alone(server: Instance, folder: Path) -> None:
    large, words, gone = server.post(), server.post(), server.post()
    server.photos[f"{large}.jpg"] = bytes(1_000_001)
    server.photos[f"{words}.jpg"] = b"<html>not here</html>"
    del server.photos[f"{gone}.jpg"]

    tally = collect(folder, server)

    assert dict(tally.left_alone) == {"photo could not be had": 2, "photo cannot be read": 1}
    assert photos(folder) == 0


def test_a_photo_that_breaks_off_is_fetched_again_and_never_half_there(
    server: Instance, folder: Path
) -> None:
    id_ = server.post()
    server.faults.append(("/media", Fault(BROKEN)))

    collect(folder, server)

    [row] = rows(folder)
    assert (folder / row["photo"]).read_bytes() == server.photos[f"{id_}.jpg"]
    assert len(server.read("/media")) == 2


def test_the_same_photo_is_there_once_however_often_it_is_posted(server: Instance, folder: Path) -> None:
    first, second = server.post(), server.post("bob")
    server.photos[f"{second}.jpg"] = server.photos[f"{first}.jpg"]

    collect(folder, server)

    assert len(rows(folder)) == 2
    assert photos(folder) == 1


def test_a_run_goes_on_where_another_reached_its_limit(server: Instance, folder: Path) -> None:
    ids = [server.post() for _ in range(50)]

    first = collect(folder, server, limit=45)
    second = collect(folder, server)

    assert (first.collected, first.all_read) == (45, False)
    assert (second.collected, second.all_read) == (5, True)
    assert numbers(folder) == ids


def test_a_run_goes_on_where_another_was_cut_off(server: Instance, folder: Path) -> None:
    ids = [server.post() for _ in range(90)]
    server.faults += [("/media/1040", Fault(503))] * 5

    with pytest.raises(CollectionError, match=r"gave no answer in 5 tries \(status 503\).*run this again"):
        collect(folder, server)
    cut_off = numbers(folder)
    collect(folder, server)

    assert cut_off == ids[40:]
    assert numbers(folder) == ids
    assert len(set(server.read("/media"))) == 90
    assert len(server.read("/media")) == 90 + 5


def test_a_later_run_reads_what_is_new_and_no_further(server: Instance, folder: Path) -> None:
    ids = [server.post() for _ in range(200)]
    collect(folder, server)
    server.calls.clear()
    ids += [server.post() for _ in range(3)]

    collect(folder, server)

    assert numbers(folder) == ids
    assert len(server.read("/api/v1/timelines")) == 1
    assert len(server.read("/media")) == 3


def test_a_run_that_was_cut_off_amid_the_new_leaves_no_gap(server: Instance, folder: Path) -> None:
    ids = [server.post() for _ in range(10)]
    collect(folder, server)
    ids += [server.post() for _ in range(100)]
    collect(folder, server, limit=50)
    ids += [server.post() for _ in range(5)]

    collect(folder, server)

    assert numbers(folder) == ids


def test_a_post_that_was_half_noted_when_the_run_was_killed_is_read_again(
    server: Instance, folder: Path
) -> None:
    server.post()
    collect(folder, server)
    journal = folder / "sources.jsonl"
    whole = journal.read_text()
    journal.write_text(whole + '{"id": "127.0.0.1/99", "ur')

    collect(folder, server)

    assert journal.read_text() == whole


def test_a_post_without_its_photo_when_the_run_was_killed_is_read_again(
    server: Instance, folder: Path
) -> None:
    id_ = server.post()
    collect(folder, server)
    [row] = rows(folder)
    (folder / row["photo"]).unlink()
    (folder / "collection.json").unlink()

    collect(folder, server)

    assert numbers(folder) == [id_]
    assert (folder / row["photo"]).exists()


def test_posts_that_are_older_than_the_last_run_but_new_to_the_tag_do_no_harm(
    server: Instance, folder: Path
) -> None:
    ids = [server.post(), server.post(created_at=(START).isoformat()), server.post()]

    collect(folder, server)
    collect(folder, server)

    assert numbers(folder) == ids


def test_columns_that_other_steps_have_added_stay(server: Instance, folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    server.post()
    collect(folder, server)
    table = pq.read_table(folder / "posts.parquet")
    pq.write_table(table.append_column("faces", pa.array([1])), folder / "posts.parquet")
    server.post()

    collect(folder, server)

    assert [row["faces"] for row in rows(folder)] == [1, None]
