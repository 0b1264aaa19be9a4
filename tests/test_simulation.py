"""A network that is only drawn: its photos, its tastes, its likes, and the command that draws it."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.simulation import likes
from model.simulation.appeal import LIKED, appeal
from model.simulation.backgrounds import SIDE
from model.simulation.command import simulate
from model.simulation.development import develop
from model.simulation.drawing import Cutout, draw
from model.simulation.network import CIRCLE, TONES, Photo, cutout, photos, render
from model.simulation.people import SKIN_TONES, Person
from model.simulation.scenes import scene
from model.simulation.shots import EDITS, Shot

GOOD = Shot(face=LIKED)
FAULTS = {
    "no face": replace(GOOD, subject="nobody", people=0),
    "headless": replace(GOOD, subject="headless"),
    "two people": replace(GOOD, subject="group", people=2),
    "a collage": replace(GOOD, subject="collage", people=4),
    "head too large": replace(GOOD, face=0.9),
    "tiny": replace(GOOD, face=0.09),
    "tiny in a larger scene": replace(GOOD, border="blurred", width=0.36),
    "far from the middle": replace(GOOD, across=0.9),
    "far down": replace(GOOD, down=0.8),
    "dark": replace(GOOD, exposure=-2.0),
    "noisy": replace(GOOD, noise=30.0),
    "blurred": replace(GOOD, blur=10.0),
}
NO_WORSE = {
    "faded": replace(GOOD, filter="faded"),
    "warm": replace(GOOD, filter="warm"),
    "black and white": replace(GOOD, filter="black and white"),
    "white border": replace(GOOD, border="white", width=0.05),
    "black border": replace(GOOD, border="black", sides="above and below", width=0.1),
}


@pytest.fixture(scope="module")
def friends() -> list[Cutout]:
    return [cutout(photo) for photo in photos(TONES, seed=3)]


def drawn(photo: Photo, friends: list[Cutout]) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(render(photo, friends))))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_makes_a_shot_less_liked(fault: str) -> None:
    assert appeal(FAULTS[fault]) < appeal(GOOD) - 1


@pytest.mark.parametrize("adornment", NO_WORSE)
def test_a_filter_or_a_border_makes_nothing_worse(adornment: str) -> None:
    assert appeal(NO_WORSE[adornment]) > appeal(GOOD)


@pytest.mark.parametrize("face", [0.1, 0.2, 0.5, 0.8, 1.2])
def test_a_face_of_about_a_third_of_the_frame_is_liked_best(face: float) -> None:
    nearer = math.exp((math.log(face) + math.log(LIKED)) / 2)
    assert appeal(replace(GOOD, face=face)) < appeal(replace(GOOD, face=nearer)) < appeal(GOOD)


def test_a_fault_counts_for_more_the_worse_it_is() -> None:
    by_exposure = [appeal(replace(GOOD, exposure=ev)) for ev in (0, -0.5, -1, -2, -3)]
    assert by_exposure == sorted(by_exposure, reverse=True)
    assert len(set(by_exposure)) == 5


def test_a_twin_differs_from_its_shot_in_what_it_says_was_changed() -> None:
    rng = np.random.default_rng(0)
    twins = [GOOD.twin(rng) for _ in range(200)]
    assert {twin.edit for twin in twins} == set(EDITS)
    darker = [twin for twin in twins if twin.edit == "darker"]
    assert all(replace(twin, exposure=0.0, edit="") == GOOD for twin in darker)
    assert all(appeal(twin) < appeal(GOOD) for twin in darker)


def test_faces_are_mostly_larger_than_is_liked_as_in_real_portraits() -> None:
    shots = [Shot.draw(np.random.default_rng(seed)) for seed in range(400)]
    faces = [shot.face for shot in shots if shot.subject == "person"]
    assert LIKED < np.percentile(faces, 40) < np.median(faces) < 0.6


def test_a_faded_photo_is_warm_or_cool() -> None:
    grey = np.full((8, 8, 3), 128.0, np.float32)
    faded = [
        develop(grey, replace(GOOD, filter="faded"), np.random.default_rng(seed)).mean((0, 1))
        for seed in range(40)
    ]
    warmth = [float(photo[0] - photo[2]) for photo in faded]
    assert min(warmth) < -5 < 5 < max(warmth)


def test_every_skin_tone_is_drawn_at_every_exposure() -> None:
    network = photos(5 * CIRCLE, seed=1)
    by_tone = [Counter(photo.shot for photo in network if photo.lot.tone == tone) for tone in range(TONES)]
    assert all(shots == by_tone[0] for shots in by_tone)
    assert len(by_tone[0]) == 5 * CIRCLE // TONES


def test_what_is_liked_says_nothing_about_who_is_shown() -> None:
    network = photos(100 * CIRCLE, seed=1)
    rated = np.array([photo.appeal for photo in network])
    for shown in ("long_hair", "beard", "glasses", "fringe", "smile"):
        values = np.array(
            [
                float(bool(getattr(photo.person, shown)) if shown != "smile" else photo.person.smile)
                for photo in network
            ]
        )
        assert abs(np.corrcoef(values, rated)[0, 1]) < 0.05, shown


def test_skin_gets_darker_from_one_tone_to_the_next() -> None:
    person = Person.draw(np.random.default_rng(0), 0)
    cheeks = []
    for tone in SKIN_TONES:
        looks = draw(replace(person, skin=tone, beard=0.0), np.random.default_rng(1))
        x, y = int(looks.x), int(looks.y + 0.3 * looks.face / 2)
        cheeks.append(looks.levels[y - 8 : y + 8, x + 25 : x + 40, :3].mean())
    assert cheeks == sorted(cheeks, reverse=True)


def test_a_photo_is_the_same_to_the_byte_however_many_are_drawn(friends: list[Cutout]) -> None:
    one, other = photos(1, seed=3)[0], photos(CIRCLE, seed=3)[0]
    assert render(one, friends) == render(other, friends)
    assert render(photos(1, seed=4)[0], friends) != render(one, friends)


def test_the_twin_of_a_photo_shows_the_same_scene(friends: list[Cutout]) -> None:
    first = photos(1, seed=3)[0]
    darker = replace(first, shot=replace(GOOD, exposure=-2.0))
    plain, dark = drawn(replace(first, shot=GOOD), friends), drawn(darker, friends)
    assert plain.shape == (SIDE, SIDE, 3)
    assert np.corrcoef(plain.mean(2).ravel(), dark.mean(2).ravel())[0, 1] > 0.9
    assert dark.mean() < 0.7 * plain.mean()


@pytest.mark.parametrize("subject", ["person", "group", "collage", "headless", "nobody"])
def test_every_subject_can_be_drawn(subject: str, friends: list[Cutout]) -> None:
    for people in (2, 3, 4, 6) if subject in ("group", "collage") else (1,):
        if subject == "collage" and people == 6:
            continue
        shot = replace(GOOD, subject=subject, people=people)  # type: ignore[arg-type]
        canvas = scene(shot, friends, np.random.default_rng(0))
        assert canvas.shape == (SIDE, SIDE, 3)
        assert canvas.std() > 1


@pytest.mark.parametrize("correlation", [0.3, 0.45, 0.8])
def test_the_ceiling_is_where_theory_says(correlation: float) -> None:
    rng = np.random.default_rng(0)
    appeals = rng.normal(size=20_000)
    posts = likes.post(appeals, np.arange(20_000) // 8, 10, correlation, rng)
    # Two normal variables lie on the same side of their medians this often.
    expected = 0.5 + math.asin(correlation) / math.pi
    assert likes.ceiling(appeals, posts) == pytest.approx(expected, abs=0.012)


def test_the_usual_ceiling_is_about_65_percent() -> None:
    appeals = np.array([photo.appeal for photo in photos(3000, seed=1)])
    posts = likes.post(appeals, np.arange(3000) // 8, 20, likes.CORRELATION, np.random.default_rng(0))
    assert likes.ceiling(appeals, posts) == pytest.approx(0.65, abs=0.015)


def run(folder: Path, *arguments: str) -> int:
    return simulate([str(folder), "--photos", "12", "--posts", "3", "--workers", "1", *arguments])


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.e2e
def test_the_command_draws_a_dataset_and_goes_on_where_it_was_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "whole", "--json", "--contact-sheet", str(tmp_path / "sheet.png")) == 0
    truth = json.loads(capsys.readouterr().out)
    assert (truth["photos"], truth["posts"], truth["authors"]) == (12, 36, 6)
    assert 0.5 < truth["ceiling"] <= 1
    assert truth == json.loads((tmp_path / "whole/simulation.json").read_text())
    table = pq.read_table(tmp_path / "whole/posts.parquet")
    assert table.num_rows == 36
    assert {"id", "photo", "author", "followers", "likes", "tags", "posted_at", "appeal", "tone"} <= set(
        table.column_names
    )
    assert all((tmp_path / "whole" / photo).is_file() for photo in table["photo"].to_pylist())
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > sheet.height

    complete = files(tmp_path / "whole")
    (tmp_path / "whole/posts.parquet").unlink()
    removed = next((tmp_path / "whole/photos").iterdir())
    removed.unlink()
    assert run(tmp_path / "whole") == 0
    assert files(tmp_path / "whole") == complete


def test_another_simulation_is_not_mixed_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "simulation.json").write_text(json.dumps({"options": {"seed": 7}}))
    assert run(tmp_path) == 1
    assert "name another folder" in capsys.readouterr().err
    assert not (tmp_path / "photos").exists()


def test_posts_of_another_origin_are_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "posts.parquet").write_bytes(b"mine")
    assert run(tmp_path) == 1
    assert "were not drawn" in capsys.readouterr().err
    assert (tmp_path / "posts.parquet").read_bytes() == b"mine"


def test_a_file_where_the_folder_should_be_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run(tmp_path / "file" / "folder") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_damaged_description_of_the_simulation_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "simulation.json").write_text('{"opt')
    assert run(tmp_path) == 1
    assert capsys.readouterr().err.endswith("makes no sense; remove it, or name another folder\n")


@pytest.mark.parametrize("option", ["--photos=6", "--posts=0", "--correlation=1", "--seed=-1", "--workers=0"])
def test_options_that_make_no_sense_are_refused(
    tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, option) == 1
    assert option.split("=", maxsplit=1)[0] in capsys.readouterr().err
