"""benchmarks.rules: what it does to portraits, and what it makes of the scores."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import rules
from benchmarks.rules_edits import COLLAGES, EDITS, TINY, Face, Portrait, collage
from model.dataset.faces_detectors import BlazeFace
from tests.photos import portrait

ASTRONAUT = Portrait(portrait(), Face(224, 112, 127), "")


def edited(way: str) -> Image.Image:
    return EDITS[way](ASTRONAUT, np.random.default_rng(0))


def levels(photo: Image.Image) -> np.ndarray:
    return np.asarray(photo.resize((224, 224)).convert("L"), np.float64)


def detail(photo: Image.Image) -> float:
    """How much neighbouring pixels differ."""
    return float(np.abs(np.diff(levels(photo))).mean())


def face_share(photo: Image.Image) -> float:
    """Height of the face that is found, as a share of the photo's."""
    encoded = BytesIO()
    photo.save(encoded, "PNG")
    face = rules.find_face(encoded.getvalue(), BlazeFace(threads=1))
    assert face
    return face.height


@pytest.mark.parametrize("way", rules.RULES["darker"].ways)
def test_what_is_made_darker_is_darker(way: str) -> None:
    assert levels(edited(way)).mean() < 0.75 * levels(ASTRONAUT.photo).mean()


@pytest.mark.parametrize("way", rules.RULES["noisy"].ways)
def test_noise_makes_neighbours_differ(way: str) -> None:
    assert detail(edited(way)) > detail(ASTRONAUT.photo) + 2


@pytest.mark.parametrize("way", rules.RULES["blurred"].ways)
def test_blur_makes_neighbours_alike(way: str) -> None:
    assert detail(edited(way)) < 0.85 * detail(ASTRONAUT.photo)


@pytest.mark.parametrize("way", rules.RULES["faded filter"].ways)
def test_a_faded_filter_takes_contrast_and_lifts_the_blacks(way: str) -> None:
    assert levels(edited(way)).std() < 0.8 * levels(ASTRONAUT.photo).std()
    assert levels(edited(way)).min() > 30


def test_black_and_white_has_no_colours() -> None:
    assert np.ptp(np.asarray(edited("black and white")), axis=2).max() == 0


@pytest.mark.parametrize("way", rules.RULES["border"].ways)
def test_a_border_is_of_one_colour(way: str) -> None:
    above = np.asarray(edited(way))[:3]
    assert above.std() == 0
    assert above.mean() in (0, 255)


def test_collages_show_every_member_once() -> None:
    for members, layout in COLLAGES.values():
        tones = range(20, 20 + 50 * members, 50)
        picture = np.asarray(collage([Image.new("RGB", (90, 120), (tone,) * 3) for tone in tones], layout))
        seen, counts = np.unique(picture[..., 0], return_counts=True)
        expected = set(tones) | ({0} if members == 3 else set())  # 448 has no third
        assert set(seen) == expected
        assert np.ptp(counts[-members:]) == 0


def test_a_face_is_brought_to_the_size_that_is_asked_for() -> None:
    assert face_share(ASTRONAUT.photo) == pytest.approx(127 / 512, rel=0.1)
    assert face_share(edited("face fills 0.9")) == pytest.approx(0.9, rel=0.2)
    assert face_share(edited("third, before its own blur")) == pytest.approx(1 / 3, rel=0.2)


@pytest.mark.parametrize("way", rules.RULES["face tiny"].ways)
def test_a_tiny_face_is_far_away_in_a_larger_scene(way: str) -> None:
    photo = edited(way)
    assert photo.width == photo.height
    # A wide enough photo keeps its pixels; one that would get too large is halved.
    assert photo.width in {round(127 / TINY), round(127 / TINY) // 2}
    assert detail(photo) < 0.7 * detail(ASTRONAUT.photo)


def test_a_rule_is_as_strong_as_its_weakest_way() -> None:
    ways = rules.RULES["head too large"].ways
    changes = {ways[0]: np.array([-0.1, -0.3], np.float32), ways[1]: np.array([-0.2, 0.1], np.float32)}
    found = rules.verdict(rules.RULES["head too large"], changes)
    assert (found["share"], found["mean_change"]) == (0.5, -0.05)
    assert found["ways"][ways[0]]["share"] == 1


def test_no_change_is_not_lower() -> None:
    changes = {"black and white": np.array([0, 0.1, -0.1, 0], np.float32)}
    assert rules.verdict(rules.RULES["black and white"], changes)["share"] == 0.75


def test_groups_are_compared_by_their_mean_scores() -> None:
    portraits = [Portrait(ASTRONAUT.photo, ASTRONAUT.face, group) for group in "aabb"]
    found = rules.compare_groups(np.array([0.2, 0.4, 0.5, 0.9], np.float32), portraits)
    assert found["group_gap"] == pytest.approx(0.4)
    assert rules.compare_groups(np.array([0.2, 0.4], np.float32), portraits[:2]) == {}


@pytest.mark.e2e
def test_the_command_measures_a_folder_and_skips_what_shows_no_face(tmp_path: Path) -> None:
    for group in ("one", "other"):
        (tmp_path / group).mkdir()
        for number in range(4):
            portrait().crop((0, 0, 440 + 16 * number, 512)).save(tmp_path / group / f"{number}.jpg")
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "one" / "wall.png")
    (tmp_path / "one" / "torn.jpg").write_bytes(b"torn")
    command = [sys.executable, "-m", "benchmarks.rules", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert set(found["rules"]) == set(rules.RULES)
    assert (found["photos"], found["without_face"]) == (8, 2)
    assert set(found) >= {"std", "group_gap"}


@pytest.mark.e2e
def test_a_folder_without_portraits_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.rules", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
