"""Labels by likes: the rule itself, and the command around it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model.dataset import engines, likes
from model.dataset.examples import Examples
from model.dataset.hashes import perceptual_hash
from model.dataset.likes import Rules
from model.making import model
from tests.datasets import NEWEST, columns, pattern, write_photos, write_posts
from tests.photos import encoded

AS_OF = int(NEWEST.timestamp())
DAY = 86400


def label(folder: Path, *arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", "model", "label", str(folder), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        **settings,
    )


def labels(count: int, rules: Rules, **changed: Any) -> dict[str, int]:
    """Label a table of posts: which post got which label."""
    engine = engines.duckdb(threads=1)
    posts = ibis.memtable(pa.table(columns(count, **changed)))
    found = engine.to_pyarrow(likes.labelled(likes.competing(posts, rules), rules))
    return dict(zip(found["id"].to_pylist(), found["label"].to_pylist(), strict=True))


def by_hand(count: int, rules: Rules) -> dict[str, int]:
    """The article's rule once more, as a loop over the posts."""
    table = columns(count)
    posts = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    fewest, most = rules.followers
    kept = [
        post
        for post in posts
        if post["posted_at"].timestamp() < rules.as_of - rules.older_than * DAY
        and fewest <= post["followers"] <= most
        and post["tags"] <= rules.max_tags
    ]
    kept.sort(key=lambda post: (int(post["followers"]) * (100 + rules.bonus * int(post["tags"])), post["id"]))
    found: dict[str, int] = {}
    for begin in range(0, len(kept) - rules.group + 1, rules.group):
        group = sorted(kept[begin : begin + rules.group], key=lambda post: (post["likes"], post["id"]))
        found |= {post["id"]: 0 for post in group[: rules.bad]}
        found |= {post["id"]: 1 for post in group[rules.group - rules.good :]}
    return found


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"group": 30, "good": 5, "bad": 10},
        {"older_than": 200, "followers": (1200, 1900), "max_tags": 4, "bonus": 50},
        {"as_of": AS_OF - 100 * DAY, "bonus": 0},
    ],
)
def test_labels_are_those_of_the_rule_written_as_a_loop(changed: dict[str, Any]) -> None:
    rules = Rules(**{"as_of": AS_OF} | changed)

    found = labels(1234, rules)

    assert found == by_hand(1234, rules)
    assert set(found.values()) == {0, 1}


def test_of_equal_audiences_and_equal_likes_the_smaller_id_comes_first() -> None:
    rules = Rules(as_of=AS_OF, group=4, good=2, bad=2)

    found = labels(9, rules, followers=[1000] * 9, tags=[0] * 9, likes=[7] * 9, id=list("dbcahgfei"))

    assert found == {"a": 0, "b": 0, "c": 1, "d": 1, "e": 0, "f": 0, "g": 1, "h": 1}


@pytest.mark.parametrize("zone", ["UTC", None])
def test_the_newest_post_need_not_be_of_a_full_second(zone: str | None) -> None:
    moments = pa.array([NEWEST, NEWEST + timedelta(milliseconds=243)], pa.timestamp("us", zone))
    posts = ibis.memtable(pa.table({"posted_at": moments}))

    assert likes.newest(posts, engines.duckdb(threads=1)) == AS_OF


def test_a_tag_widens_the_audience_by_the_bonus() -> None:
    posts = {"followers": [1000, 1049, 1051, 1060, 1070], "tags": [1, 0, 0, 0, 0], "likes": [0, 1, 1, 0, 9]}
    rules = Rules(as_of=AS_OF, group=2, good=1, bad=1)

    # With 5 % the first has an audience of 1050: between the second and the third.
    assert labels(5, rules, **posts) == {"000001": 1, "000000": 0, "000002": 1, "000003": 0}


def test_likes_that_are_audience_times_appeal_label_exactly_by_appeal() -> None:
    appeal = np.random.default_rng(0).permutation(1000)
    one_audience = {"followers": np.full(1001, 500), "tags": np.full(1001, 3)}
    rules = Rules(as_of=AS_OF, group=1000, good=500, bad=500)

    found = labels(1001, rules, likes=np.append(575 * appeal, 0), **one_audience)

    assert found == {f"{number:06}": int(appeal[number] >= 500) for number in range(1000)}


def test_more_of_an_audience_needs_more_likes() -> None:
    """Whoever has ten times the followers, and ten times the likes, is as good."""
    appeal = np.random.default_rng(0).permutation(200)
    followers = np.append(np.repeat([1000, 10_000], 100), 1)
    rules = Rules(as_of=AS_OF)

    found = labels(201, rules, followers=followers, tags=[0] * 201, likes=followers * np.append(appeal, 0))

    for group in (range(100), range(100, 200)):
        median = np.median(appeal[list(group)])
        assert [found[f"{number:06}"] for number in group] == [
            int(appeal[number] > median) for number in group
        ]


def test_columns_of_the_posts_are_carried_along_whatever_their_names(tmp_path: Path) -> None:
    names = {
        name: [f"{name} {number}" for number in range(400)] for name in ("group", "rank", "size", "tone")
    }
    write_posts(tmp_path, 400, **names)

    assert label(tmp_path, "--skip-photos").returncode == 0

    examples = Examples.load(tmp_path)
    for name, values in names.items():
        assert set(examples.columns[name]) <= set(values)
    assert set(examples.columns) == {*names, "id", "author", "followers", "likes", "tags", "posted_at"}


def test_the_whole_command_labels_what_can_be_read_and_says_what_cannot(tmp_path: Path) -> None:
    write_photos(write_posts(tmp_path, 401), 401)
    (tmp_path / "photos/000007.png").unlink()
    (tmp_path / "photos/000008.png").write_bytes(b"GIF89a, or so it says")

    done = label(tmp_path, "--json", "--group", "50", "--good", "25", "--bad", "25")

    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert found["labels"] == {"bad": 175, "good": 175}
    assert (found["posts"], found["labelled"], found["unreadable"]) == (401, 350, 2)
    assert done.stderr.startswith(
        "deepselfie: 2 photos cannot be read and are left out: photos/000007.png: No such file or directory; "
        "photos/000008.png: photo"
    )
    examples = Examples.load(tmp_path)
    assert not {"000007", "000008", "000400"} & set(examples.columns["id"])
    assert examples.fingerprint == found["fingerprint"]
    assert [int((examples.split == split).sum()) for split in found["splits"]] == [*found["splits"].values()]


def test_the_description_tells_every_constant(tmp_path: Path) -> None:
    write_posts(tmp_path, 2000)
    label(tmp_path, "--skip-photos", "--older-than", "60", "--followers", "1100:2500", "--shares", "60/20/20")

    description = json.loads((tmp_path / "dataset.json").read_text())

    assert description["made"] == {
        "by": "likes",
        "as_of": AS_OF,
        "older_than": 60,
        "followers": [1100, 2500],
        "max_tags": 15,
        "faces": 0,
        "bonus": 5,
        "group": 100,
        "good": 50,
        "bad": 50,
    }
    assert description["splitting"] == {"shares": [60, 20, 20], "seed": 0, "distance": 4}


def test_a_run_can_be_repeated_and_the_order_of_the_posts_is_nothing(tmp_path: Path) -> None:
    ordered, shuffled = write_posts(tmp_path / "ordered", 700), tmp_path / "shuffled"
    order = np.random.default_rng(0).permutation(700)
    write_posts(
        shuffled, 700, **{name: pa.array(column).take(order) for name, column in columns(700).items()}
    )

    one, other = (
        json.loads(label(folder, "--skip-photos", "--json").stdout) for folder in (ordered, shuffled)
    )

    assert one["fingerprint"] == other["fingerprint"]
    assert pq.read_table(ordered / "labelled.parquet") == pq.read_table(shuffled / "labelled.parquet")


def test_another_label_or_seed_is_another_fingerprint(tmp_path: Path) -> None:
    write_posts(tmp_path, 700)

    runs = [("--seed", "0"), ("--seed", "1"), ("--bonus", "90")]
    found = {
        json.loads(label(tmp_path, "--skip-photos", "--json", *run).stdout)["fingerprint"] for run in runs
    }

    assert len(found) == 3


def test_a_photo_that_changed_and_looks_as_before_is_another_fingerprint(tmp_path: Path) -> None:
    write_photos(write_posts(tmp_path, 701), 701)
    file = tmp_path / "photos/000000.png"

    def fingerprint() -> str:
        found = json.loads(label(tmp_path, "--json").stdout)
        return str(found["fingerprint"])

    before, hashed = fingerprint(), perceptual_hash(file.read_bytes())
    changed = pattern(0)
    changed.putpixel((0, 0), (0, 0, 0))
    file.write_bytes(encoded(changed, "PNG"))

    assert perceptual_hash(file.read_bytes()) == hashed
    assert fingerprint() != before


def test_another_pair_or_shot_is_another_fingerprint(tmp_path: Path) -> None:
    found = set()
    for take in (["a"] * 700, ["a"] * 350 + ["b"] * 350, [None] * 350 + ["a"] * 350):
        write_posts(tmp_path, 700, take=take)
        found.add(json.loads(label(tmp_path, "--skip-photos", "--json").stdout)["fingerprint"])

    assert len(found) == 3


def test_photos_without_a_face_do_not_compete_where_faces_were_counted(tmp_path: Path) -> None:
    faces = np.arange(900) % 3
    write_posts(tmp_path, 900, faces=faces)

    for arguments, fewest in (((), 1), (("--min-faces", "2"), 2), (("--min-faces", "0"), 0)):
        assert label(tmp_path, "--skip-photos", *arguments).returncode == 0
        assert Examples.load(tmp_path).columns["faces"].min() == fewest

    done = label(write_posts(tmp_path / "blind", 900), "--skip-photos", "--min-faces", "1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no column faces; `deepselfie model faces` counts them" in done.stderr


def test_a_table_and_photos_from_elsewhere_are_used_where_they_are(tmp_path: Path) -> None:
    write_photos(write_posts(tmp_path / "there", 301), 301)
    here = tmp_path / "here"

    done = label(here, "--posts", str(tmp_path / "there/posts.parquet"), "--photos", str(tmp_path / "there"))

    assert done.returncode == 0, done.stderr
    examples = Examples.load(here)
    assert examples.photos[0].startswith("../there/photos/")
    assert examples.read(0).startswith(b"\x89PNG")
    assert not (tmp_path / "there/labelled.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--good", "60"], "60 good and 50 bad are more than the 100 of a group"),
        (["--group", "1"], "--group Input should be greater than or equal to 2"),
        (["--followers", "900:100"], "followers from 900 to 100 are nobody's"),
        (["--older-than", "-1"], "--older-than Input should be greater than or equal to 0"),
        (["--shares", "80/10/20"], "add up to 110 %, not 100"),
        (["--followers", "5000:6000"], "0 of 300 posts can be labelled, a group needs 100"),
        (["--skip-photos", "--shares", "100/0/0", "--followers", "1:2"], "0 of 300 posts can be labelled"),
        ([], "none of 299 photos can be read; the first, photos/000000.png: No such file or directory"),
        (["--memory", "much"], "DuckDB gave up: Parser Error: Memory"),
        (["--photos", "nowhere"], "nowhere is no folder of photos"),
        (["--posts", "nothing.parquet"], "nothing.parquet cannot be read as a table: there is no such file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    write_posts(tmp_path, 300)

    done = label(tmp_path, *arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("deepselfie: ")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert {file.name for file in tmp_path.iterdir()} <= {"posts.parquet", "hashes.parquet"}


def test_an_empty_split_is_refused_with_what_to_do(tmp_path: Path) -> None:
    write_posts(tmp_path, 300, author=["ann"] * 300)

    done = label(tmp_path, "--skip-photos")

    assert done.returncode == 1
    assert "fell to" in done.stderr
    assert "use more posts, another --seed, or other --shares" in done.stderr


@pytest.mark.parametrize("name", ["labelled.parquet", "dataset.json"])
def test_a_run_that_fails_leaves_what_an_earlier_one_wrote(tmp_path: Path, name: str) -> None:
    write_posts(tmp_path, 700)
    label(tmp_path, "--skip-photos")
    before = (tmp_path / name).read_bytes()

    write_posts(tmp_path, 700, author=["ann"] * 700)
    assert label(tmp_path, "--skip-photos").returncode == 1

    assert (tmp_path / name).read_bytes() == before
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def small_files(limit: int) -> Callable[[], None]:
    """For a process: its files cannot grow beyond so many bytes, as on a disk that fills."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def test_a_disk_that_fills_is_one_sentence_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    write_posts(tmp_path, 20_000)

    done = label(tmp_path, "--skip-photos", preexec_fn=small_files(30_000))

    assert (done.returncode, done.stdout) == (1, "")
    assert "File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["posts.parquet"]


def has_java() -> bool:
    try:
        subprocess.run(["java", "-version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def test_a_spark_that_does_not_start_is_one_sentence(tmp_path: Path) -> None:
    write_posts(tmp_path, 700)
    done = label(tmp_path, "--engine", "spark", env=os.environ | {"JAVA_HOME": str(tmp_path / "nowhere")})
    assert done.returncode == 1
    assert "deepselfie: Spark gave up: [JAVA_GATEWAY_EXITED]" in done.stderr
    assert "Traceback" not in done.stderr


def test_who_lacks_spark_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    assert model(["label", str(tmp_path), "--engine", "spark"]) == 1
    assert capsys.readouterr().err.endswith(
        "needs pyspark, which is not installed; run `pip install 'deepselfie[spark]'`\n"
    )


@pytest.mark.e2e
@pytest.mark.skipif(
    not has_java(), reason="NO JAVA: Spark is not tested. Install Java 17 or later to test it."
)
def test_spark_gives_the_same_labels_as_duckdb_row_for_row(tmp_path: Path) -> None:
    shared = [f"photos/{number // 2:06}.png" for number in range(3000)]
    extra = {"tone": ["light", "dark"] * 1500, "faces": np.arange(3000) % 4, "photo": shared}
    write_posts(tmp_path / "duckdb", 3000, **extra)
    write_posts(tmp_path / "spark", 3000, **extra)
    environment = os.environ | {"SPARK_MASTER": "local[1]", "SPARK_LOCAL_IP": "127.0.0.1"}

    for engine in ("duckdb", "spark"):
        done = label(tmp_path / engine, "--skip-photos", "--engine", engine, "--json", env=environment)
        assert done.returncode == 0, done.stderr

    one, other = (pq.read_table(tmp_path / engine / "labelled.parquet") for engine in ("duckdb", "spark"))
    # Of 2249 old posts with a face, whole groups.
    assert one.num_rows == 2200
    assert one.to_pylist() == other.to_pylist()
    assert (tmp_path / "duckdb/dataset.json").read_text() == (tmp_path / "spark/dataset.json").read_text()


@pytest.mark.e2e
def test_the_benchmark_compares_with_numpy_label_by_label(repository: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.labels", "--posts", "20000", "--json"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["peer"].keys() == {"seconds", "cpu_seconds", "peak_megabytes"}
    assert found["posts_per_second"] == pytest.approx(20_000 / found["seconds"])
    assert 50 < found["peak_megabytes"] < 2000
