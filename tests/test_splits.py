"""Who is in which split, and which photos look alike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.dataset import engines
from model.dataset.examples import Examples
from model.dataset.hashes import near, perceptual_hash
from model.dataset.photos import SIGHTS, look
from model.dataset.splits import Splitting, assigned, linked
from tests.datasets import pattern, write_photos, write_posts
from tests.photos import encoded, huge_png, portrait
from tests.test_labels import label


def splits(authors: list[str], splitting: Splitting, links: dict[str, str] | None = None) -> list[str]:
    posts = ibis.memtable(pa.table({"author": authors, "row": range(len(authors))}))
    rows = assigned(posts, splitting, links or {}).order_by("row")
    assert rows.columns == ("author", "row", "split")
    found: list[str] = engines.duckdb(threads=1).to_pyarrow(rows)["split"].to_pylist()
    return found


def test_an_author_is_in_one_split_and_shares_are_kept_roughly() -> None:
    authors = [f"author {number % 10_000}" for number in range(20_000)]

    found = splits(authors, Splitting(shares=(70, 20, 10)))

    assert found[:10_000] == found[10_000:]
    shares = [found.count(split) / len(found) for split in ("train", "validation", "test")]
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def test_a_split_depends_on_the_author_and_the_seed_and_on_nobody_else() -> None:
    authors = [f"author {number}" for number in range(500)]
    found = splits(authors, Splitting())

    assert splits(authors[::-1], Splitting()) == found[::-1]
    assert splits(authors[100:], Splitting()) == found[100:]
    assert splits(authors, Splitting(seed=1)) != found


@pytest.mark.parametrize(("shares", "split"), [((100, 0, 0), "train"), ((0, 0, 100), "test")])
def test_all_may_be_in_one_split(shares: tuple[int, int, int], split: str) -> None:
    assert set(splits([f"author {number}" for number in range(300)], Splitting(shares=shares))) == {split}


def test_linked_authors_follow_the_first_of_them() -> None:
    authors = [f"author {number}" for number in range(200)]
    found = splits(authors, Splitting(), dict.fromkeys(authors, "author 7"))

    assert set(found) == {splits(["author 7"], Splitting())[0]}


def test_authors_are_linked_by_a_photo_that_both_posted_or_two_that_look_alike() -> None:
    authors = ["eve", "bob", "ann", "dan", "fay", "bob"]
    photos = ["1", "2", "2", "3", "4", "5"]

    found = linked(authors, photos, [("5", "3"), ("1", "nobody's")])

    # Ann and Bob posted the same; another photo of Bob's looks like Dan's.
    assert found == {"ann": "ann", "bob": "ann", "dan": "ann"}


def test_links_depend_on_no_order() -> None:
    lot = np.random.default_rng(0)
    authors = [f"author {number}" for number in lot.integers(0, 400, 600)]
    photos = [f"{number}.jpg" for number in lot.integers(0, 1500, 600)]
    order = lot.permutation(600)

    found = linked(authors, photos, [])

    assert found
    assert linked([authors[index] for index in order], [photos[index] for index in order], []) == found


@pytest.mark.parametrize(
    ("name", "bits"),
    [("saved badly", 2), ("made small", 2), ("grey", 2), ("darker", 2), ("mirrored", 40), ("another", 40)],
)
def test_a_photo_that_was_only_saved_anew_has_nearly_the_same_hash(name: str, bits: int) -> None:
    image = portrait(1024, 1024)
    changed = {
        "saved badly": encoded(image, quality=20),
        "made small": encoded(image.resize((160, 160)), "WEBP"),
        "grey": encoded(image.convert("L"), "PNG"),
        "darker": encoded(image.point([value * 7 // 10 for value in range(256)] * 3)),
        "mirrored": encoded(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        "another": encoded(pattern(0)),
    }[name]

    differing = (perceptual_hash(encoded(image, "PNG")) ^ perceptual_hash(changed)).bit_count()

    assert differing <= bits
    assert bits == 2 or differing > 10


@pytest.mark.parametrize("distance", [0, 1, 4, 7])
def test_near_finds_just_the_pairs_that_comparing_all_with_all_finds(distance: int) -> None:
    lot = np.random.default_rng(distance)
    hashes = lot.integers(0, 2**63, 150, dtype=np.uint64)
    for flips in range(9):
        flipped = hashes[:30]
        for bit in lot.choice(64, flips, replace=False):
            flipped = flipped ^ (np.uint64(1) << np.uint64(bit))
        hashes = np.concatenate([hashes, flipped])
    distinct = np.unique(hashes)
    expected = {
        (int(one), int(other))
        for one in distinct
        for other in distinct
        if one < other and (int(one) ^ int(other)).bit_count() <= distance
    }

    pairs = near(hashes, distance)

    found = {tuple(sorted((int(hashes[one]), int(hashes[other])))) for one, other in pairs}
    assert {pair for pair in found if pair[0] != pair[1]} == expected
    # Of the same hash, each is paired with the first: together with the others they make one component.
    assert sum(hashes[one] == hashes[other] for one, other in pairs) == len(hashes) - len(distinct)


def test_a_hundred_thousand_photos_and_as_many_copies_are_compared_in_seconds() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 100_000, dtype=np.uint64)
    begin = time.process_time()

    pairs = near(np.concatenate([hashes, hashes ^ np.uint64(5)]), 4)

    assert len(pairs) == 100_000
    assert time.process_time() - begin < 20


@pytest.mark.parametrize("hashes", [[], [7], [7, 7]])
def test_few_photos_are_no_trouble(hashes: list[int]) -> None:
    assert near(np.array(hashes, np.uint64), 4).tolist() == ([[0, 1]] if len(hashes) == 2 else [])


def test_photos_that_look_alike_are_in_one_split_however_many_authors_posted_them(tmp_path: Path) -> None:
    write_photos(write_posts(tmp_path, 601), 601)
    for number in range(0, 600, 20):
        copy = encoded(pattern(0).resize((64 + number, 90)), quality=70)
        (tmp_path / f"photos/{number:06}.png").write_bytes(copy)

    assert label(tmp_path, "--shares", "40/30/30").returncode == 0

    examples = Examples.load(tmp_path)
    copies = [int(number) % 20 == 0 for number in examples.columns["id"]]
    assert len(set(examples.split[copies])) == 1
    assert len(set(examples.split)) == 3


def test_posts_of_one_photo_are_in_one_split_though_nobody_looked_at_it(tmp_path: Path) -> None:
    write_posts(tmp_path, 2001, photo=[f"photos/{number % 667}.jpg" for number in range(2001)])

    assert label(tmp_path, "--skip-photos", "--shares", "40/30/30").returncode == 0

    # Examples refuses a photo in two splits.
    assert len(set(Examples.load(tmp_path).split)) == 3


def test_a_look_tells_why_a_photo_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(huge_png())
    (tmp_path / "cut.jpg").write_bytes(encoded(portrait())[:2000])
    (tmp_path / "fine.jpg").write_bytes(encoded(portrait()))

    looks = look(tmp_path, ["huge.png", "cut.jpg", "fine.jpg", "gone.jpg", "https://example.com/1.jpg"])

    assert looks.photos == ("fine.jpg",)
    assert looks.hashes.tolist() == [perceptual_hash(encoded(portrait()))]
    assert "100 MP" in looks.faults["huge.png"]
    assert "damaged or cut off" in looks.faults["cut.jpg"]
    assert looks.faults["gone.jpg"] == "No such file or directory"
    assert looks.faults["https://example.com/1.jpg"] == "is a URL that nobody has fetched"


def test_what_was_seen_is_not_looked_at_again_unless_it_changes(tmp_path: Path) -> None:
    write_photos(tmp_path, 300)
    names = [f"photos/{number:06}.png" for number in range(300)]
    first = look(tmp_path, names[:200])
    status = (tmp_path / names[0]).stat()

    # The same size and time, so that nobody opens it; and one that was written anew.
    (tmp_path / names[0]).write_bytes(b"\0" * status.st_size)

    os.utime(tmp_path / names[0], ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / names[1]).write_bytes(encoded(portrait()))
    second = look(tmp_path, names)

    assert second.photos == tuple(names)
    assert second.hashes[0] == first.hashes[0]
    assert second.hashes[1] == perceptual_hash(encoded(portrait()))


def test_a_run_that_is_interrupted_keeps_what_it_saw(tmp_path: Path) -> None:
    write_photos(write_posts(tmp_path, 601), 601)
    # Whoever reads this one waits for a writer: by then, those before it were seen.
    gate = tmp_path / "photos/000500.png"
    gate.unlink()
    os.mkfifo(gate)
    command = [sys.executable, "-m", "bot", "model", "label", str(tmp_path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        writer = opened_for(gate, child)
        child.send_signal(signal.SIGINT)
        os.close(writer)
        assert child.wait(60) == 130

    seen = pq.read_table(tmp_path / SIGHTS)["photo"].to_pylist()
    assert {f"photos/{number:06}.png" for number in range(256)} <= set(seen)
    assert not (tmp_path / "labelled.parquet").exists()


def opened_for(gate: Path, child: subprocess.Popen[bytes]) -> int:
    """Wait until a process reads a named pipe, and open it for writing."""
    deadline = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline:
        try:
            return os.open(gate, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.02)
    raise AssertionError("nobody read the pipe")


def test_a_damaged_memory_of_what_was_seen_is_made_anew(tmp_path: Path) -> None:
    write_photos(tmp_path, 3)
    (tmp_path / SIGHTS).write_bytes(b"PAR1 or not")

    looks = look(tmp_path, ["photos/000000.png", "photos/000002.png"])

    assert len(looks.photos) == 2
    assert look(tmp_path, looks.photos).hashes.tolist() == looks.hashes.tolist()
