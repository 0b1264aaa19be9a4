"""Several judges in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from model.export.ensemble import Member, join
from model.export.files import export, publish
from model.export.refusal import ExportRefused
from model.export.trial import Trial
from model.judge import Judge
from model.patterns import patterns
from tests.judges import CARD, brightness_judge
from tests.networks import LABELS, SIDE, THREE, Brightness, card


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two exported judges of opset 20, and one of opset 18 with an embedding of another width."""
    folder, trial = tmp_path_factory.mktemp("judges"), Trial(patterns(range(8), SIDE))
    modest = card().model_copy(update={"caution": "Take this as a game.", "dataset": "d" * 64})
    export(Brightness(), modest, folder / "modest.onnx", trial=trial)
    export(Brightness(gain=3), modest, folder / "sure.onnx", trial=trial, precision="fp16")
    old = CARD.model_copy(update={"labels": LABELS})
    brightness_judge(folder / "old.onnx", card=old.model_dump_json())
    return [folder / "modest.onnx", folder / "sure.onnx", folder / "old.onnx"]


def joined(files: list[Path], file: Path) -> Judge:
    draft = join([Member.load(one) for one in files], "all", "2", file.parent)
    return publish(draft, draft.card, file)


def test_one_file_says_the_mean_of_what_its_members_say(files: list[Path], tmp_path: Path) -> None:
    squares = patterns(range(20, 30), SIDE)
    expected = np.mean([Judge(file)(squares).probabilities for file in files], axis=0)

    assert joined(files, tmp_path / "all.onnx")(squares).probabilities == pytest.approx(expected, abs=1e-5)


def test_embeddings_are_laid_side_by_side(files: list[Path], tmp_path: Path) -> None:
    squares = patterns(range(3), SIDE)
    expected = np.concatenate([Judge(file)(squares).embedding for file in files], axis=1)

    assert joined(files, tmp_path / "all.onnx")(squares).embedding == pytest.approx(expected, abs=1e-4)


def test_an_ensemble_takes_one_input_and_any_number_of_photos(files: list[Path], tmp_path: Path) -> None:
    judge = joined(files, tmp_path / "all.onnx")
    model = onnx.load(tmp_path / "all.onnx")

    assert [one.name for one in model.graph.input] == ["photos"]
    assert [one.name for one in model.graph.output] == ["probabilities", "embedding"]
    assert judge(patterns(range(5), SIDE)).probabilities.shape == (5, 2)


def test_its_card_names_its_members_and_keeps_their_caution(files: list[Path], tmp_path: Path) -> None:
    found = joined(files, tmp_path / "all.onnx").card

    assert (found.name, found.version) == ("all", "2")
    assert found.members == ("tiny 1", "tiny 1", "brightness 1")
    assert found.caution == "Take this as a game."
    assert (found.opset, found.precision, found.dataset) == (20, None, "")
    assert found.training == "by hand; none"
    assert found.parity
    assert found.parity.gap < 1e-4
    assert len(found.parity.samples) == 4


def test_an_ensemble_can_be_a_member(files: list[Path], tmp_path: Path) -> None:
    joined(files[:2], tmp_path / "two.onnx")
    both = joined([tmp_path / "two.onnx", files[2]], tmp_path / "all.onnx")
    squares = patterns(range(4), SIDE)
    one, two, three = (Judge(file)(squares).probabilities for file in files)

    assert both(squares).probabilities == pytest.approx(((one + two) / 2 + three) / 2, abs=1e-5)


def test_judges_of_other_labels_are_refused(files: list[Path], tmp_path: Path) -> None:
    export(Brightness(labels=3), card(THREE), tmp_path / "three.onnx", trial=Trial(patterns([0, 1], SIDE)))

    with pytest.raises(
        ExportRefused, match=r"bad \(0\), fair \(0\.5\), good \(1\), that of .* is bad \(0\), good"
    ):
        joined([files[0], tmp_path / "three.onnx"], tmp_path / "all.onnx")


def test_judges_of_another_size_are_refused(files: list[Path], tmp_path: Path) -> None:
    large = CARD.model_copy(update={"labels": LABELS, "input_size": 64})
    brightness_judge(tmp_path / "large.onnx", card=large.model_dump_json(), side=64)

    with pytest.raises(
        ExportRefused, match=r"large\.onnx: its input size is 64 pixels, that of .* is 32 pixels"
    ):
        joined([files[0], tmp_path / "large.onnx"], tmp_path / "all.onnx")


def test_one_judge_is_no_ensemble(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="at least two judges, 1 given"):
        joined(files[:1], tmp_path / "all.onnx")


def test_a_member_that_is_no_judge_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match=r"none\.onnx: no such file"):
        Member.load(tmp_path / "none.onnx")
