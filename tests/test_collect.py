from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.making import model
from tests.collecting import photos, rows
from tests.datasets import write_posts
from tests.instance import Instance, instance, photo

SMALL_FILES = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def server() -> Iterator[Instance]:
    with instance() as running:
        yield running


def mastodon(folder: Path, server: Instance, *more: str) -> list[str]:
    network = ["--network", "mastodon", "--server", server.url, "--contact", "me@example.com", "--pause", "0"]
    return ["collect", str(folder), *network, *more]


def agreed(folder: Path, server: Instance, capsys: pytest.CaptureFixture[str]) -> str:
    """The code that the command asks for."""
    assert model(mastodon(folder, server)) == 1
    [code] = re.findall(r"--agree ([0-9a-f]{8})$", capsys.readouterr().err.strip())
    return str(code)


def done(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert model([*arguments, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert model(list(arguments)) == 1
    return capsys.readouterr().err


def test_nothing_is_collected_before_the_operator_has_read_the_rules(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.rules = ["Be kind.", "No scraping."]
    server.robots = "User-agent: GPTBot\nDisallow: /"
    server.post()

    said = complaint(capsys, *mastodon(tmp_path, server))

    assert "1. Be kind.\n2. No scraping.\n" in said
    assert "shuts out GPTBot" in said
    assert server.read("/api/v1/timelines") == []


def test_who_has_read_the_rules_agrees_once_until_they_change(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.post()
    code = agreed(tmp_path, server, capsys)

    first = done(capsys, *mastodon(tmp_path, server, "--agree", code))
    second = done(capsys, *mastodon(tmp_path, server))
    server.rules.append("No machines.")
    said = complaint(capsys, *mastodon(tmp_path, server, "--agree", code))

    assert first == {"collected": 1, "held": 1, "left_alone": {}, "all_read": True}
    assert second["collected"] == 0
    assert "have changed since you agreed" in said


def test_who_is_kept_out_by_robots_txt_stays_out(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.robots = "User-agent: *\nDisallow: /api/"

    assert "keeps us out" in complaint(capsys, *mastodon(tmp_path, server, "--agree", "00000000"))


def test_likes_are_refreshed_by_a_command(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.post()
    code = agreed(tmp_path, server, capsys)
    done(capsys, *mastodon(tmp_path, server, "--agree", code))

    assert done(capsys, *mastodon(tmp_path, server, "--refresh")) == {"read": 0, "gone": 0, "held": 1}


def test_the_words_say_what_was_done_and_what_to_do(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.post(), server.post(), server.post(sensitive=True)
    server.post(media_attachments=[{"type": "image", "url": "http://files.example/1.jpg"}])
    code = agreed(tmp_path, server, capsys)

    assert model(mastodon(tmp_path, server, "--agree", code, "--limit", "1")) == 0

    said = capsys.readouterr()
    assert said.out == (
        "1 posts collected; the dataset holds 1.\n"
        "1 left alone: photo is on another host.\n"
        "1 left alone: sensitive.\n"
        "Photos are on files.example, too: --media-host takes them from there.\n"
        "There is more: run this again to go on.\n"
    )
    assert said.err == ""


def test_x_is_refused_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = complaint(capsys, "collect", str(tmp_path / "x"), "--network", "x")

    assert said.startswith("deepselfie: X's developer terms forbid to train models on its content")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--network", "mastodon", "--server", "https://a.example"], "add --contact"),
        (["--network", "mastodon", "--contact", "me"], "add --server"),
        (["--network", "mastodon", "--contact", "me", "--server", "a.example"], "it begins with https://"),
        (["--network", "bluesky", "--contact", "me", "--handle", "me.example"], "needs --password-file"),
        (["--table", "no.csv", "--refresh"], "add --network"),
        (["--table", "no.csv"], "no.csv cannot be read as a table"),
    ],
)
def test_what_is_missing_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in complaint(capsys, "collect", str(tmp_path / "selfies"), *arguments)


def test_a_table_is_taken_over_with_its_photos_and_all_its_columns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "mine.csv"
    for number in (1, 2):
        (tmp_path / f"{number}.png").write_bytes(photo(number))
    table.write_text(
        "id,photo,author,followers,likes,tags,posted_at,place\n"
        "a,1.png,ann,5,1,1,2026-01-01 00:00:00,home\n"
        "b,2.png,bob,6,2,1,2026-01-02 00:00:00,away\n"
        "c,gone.png,cat,6,2,1,2026-01-02 00:00:00,away\n"
        "d,../../etc/passwd,dot,6,2,1,2026-01-02 00:00:00,away\n"
    )

    result = done(capsys, "collect", str(tmp_path / "selfies"), "--table", str(table))
    again = done(capsys, "collect", str(tmp_path / "selfies"), "--table", str(table))

    assert (result["collected"], result["left_alone"]) == (2, {"photo is not there": 2})
    assert again["collected"] == 0
    assert [(row["id"], row["likes"], row["place"]) for row in rows(tmp_path / "selfies")] == [
        ("a", 1, "home"),
        ("b", 2, "away"),
    ]
    assert photos(tmp_path / "selfies") == 2


def test_the_urls_of_a_table_are_fetched_from_hosts_that_the_operator_names(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    id_ = server.post()
    table = pa.table({"id": ["a"], "photo": [f"{server.url}/media/{id_}.jpg"], "author": ["ann"]})
    for name in ("followers", "likes", "tags"):
        table = table.append_column(name, pa.array([1]))
    posted_at = pa.array([1_760_000_000_000_000], pa.timestamp("us", tz="UTC"))
    file = tmp_path / "posts.parquet"
    pq.write_table(table.append_column("posted_at", posted_at), file)
    taking = ["collect", str(tmp_path / "selfies"), "--table", str(file), "--pause", "0"]

    unnamed = done(capsys, *taking)
    insecure = done(capsys, *taking, "--media-host", "127.0.0.1")

    assert unnamed["left_alone"] == {"photo is on another host": 1}
    assert insecure["left_alone"] == {"photo is not on HTTPS": 1}
    assert server.calls == []


def test_a_folder_of_photos_is_taken_over_with_its_sub_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(["bird/1.png", "no-bird/2.png"]):
        file = tmp_path / "photos" / name
        file.parent.mkdir(parents=True)
        file.write_bytes(photo(number))

    done(capsys, "collect", str(tmp_path / "birds"), "--folder", str(tmp_path / "photos"))

    assert [(row["id"], row["folder"]) for row in rows(tmp_path / "birds")] == [
        ("bird/1.png", "bird"),
        ("no-bird/2.png", "no-bird"),
    ]


def test_an_empty_folder_is_called_that(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()

    assert "has no photos in it" in complaint(
        capsys, "collect", str(tmp_path / "birds"), "--folder", str(tmp_path / "photos")
    )


def test_forgetting_says_what_it_removed_and_what_still_remembers(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.post()
    code = agreed(tmp_path, server, capsys)
    done(capsys, *mastodon(tmp_path, server, "--agree", code))

    assert model(["forget", "@ann@example.social", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert "1 posts and 1 photos removed; none of @ann@example.social will be collected again" in said
    assert "Judges that were trained before" in said
    assert rows(tmp_path) == []


def test_forgetting_somebody_who_is_not_there_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_posts(tmp_path, 3)

    assert model(["forget", "@nobody@example.social", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert "0 posts and 0 photos removed; none of @nobody@example.social will be collected again" in said
    assert "Nothing goes by that name here" in said
    assert "Judges" not in said
    assert "nowhere is no folder" in complaint(capsys, "forget", "@ann", str(tmp_path / "nowhere"))


@pytest.mark.e2e
def test_a_disk_that_takes_no_more_is_one_sentence_and_nothing_is_half_there(
    server: Instance, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(5):
        server.post()
    code = agreed(tmp_path, server, capsys)
    command = [sys.executable, "-m", "bot", "model", *mastodon(tmp_path, server, "--agree", code)]

    # Files may have 2,000 bytes: the journal's third post is too much.
    done = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, *command], capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "the dataset holds 5" in again.stdout


@pytest.mark.e2e
def test_an_interrupted_run_has_its_posts_in_the_table(server: Instance, tmp_path: Path) -> None:
    for _ in range(30):
        server.post()
    first = subprocess.run(
        [sys.executable, "-m", "bot", "model", *mastodon(tmp_path, server)],
        capture_output=True,
        text=True,
        check=False,
    )
    code = first.stderr.strip()[-8:]
    arguments = [
        argument if argument != "0" else "0.2" for argument in mastodon(tmp_path, server, "--agree", code)
    ]
    command = subprocess.Popen([sys.executable, "-m", "bot", "model", *arguments], stderr=subprocess.PIPE)
    while len(server.read("/media")) < 3:
        assert command.poll() is None

    command.send_signal(2)
    _, said = command.communicate(timeout=30)

    assert (command.returncode, said) == (130, b"")
    assert 2 <= len(rows(tmp_path)) < 30
