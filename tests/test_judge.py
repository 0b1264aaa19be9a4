from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.card import Card, Label
from model.judge import Judge, JudgeRefused
from model.pixels import Pixels
from tests.judges import CARD, SIDE, brightness_judge


def grey(*levels: int) -> Pixels:
    return np.stack([np.full((SIDE, SIDE, 3), level, np.uint8) for level in levels])


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(brightness_judge(tmp_path / "judge.onnx"))


def test_a_judge_scores_a_batch_and_names_the_likeliest_label(judge: Judge) -> None:
    opinions = judge(grey(0, 51, 255))

    assert opinions.scores == pytest.approx([0, 0.2, 1])
    assert [judge.label(row) for row in opinions.probabilities] == ["dark", "dark", "bright"]
    assert opinions.embedding.shape == (3, 1)


def test_a_score_is_the_mean_of_the_labels_values(tmp_path: Path) -> None:
    labels = (Label(name="dark", value=0.25), Label(name="bright", value=0.75))
    card = Card.model_validate(CARD.model_dump() | {"labels": labels})
    judge = Judge(brightness_judge(tmp_path / "judge.onnx", card=card.model_dump_json()))

    assert judge(grey(0, 51, 255)).scores == pytest.approx([0.25, 0.8 * 0.25 + 0.2 * 0.75, 0.75])


@pytest.mark.parametrize(("score", "share"), [(-0.0, 0.1), (0.1, 0.2), (0.5, 0.5), (0.6, 0.6), (1.0, 0.9)])
def test_a_score_is_ranked_among_the_reference(score: float, share: float) -> None:
    assert CARD.percentile(score) == pytest.approx(share)


def test_without_a_reference_there_is_no_rank() -> None:
    assert CARD.model_copy(update={"reference": ()}).percentile(0.5) is None


def test_a_card_tells_how_often_the_judge_is_right_if_anybody_has_measured_it() -> None:
    assert CARD.accuracy is None
    assert CARD.model_copy(update={"metrics": {"accuracy": 0.61, "auc": 0.7}}).accuracy == 0.61


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"labels": CARD.labels[::-1]}, "worst to best"),
        ({"reference": (1.0, 0.0)}, "ascending"),
        ({"reference_name": ""}, "reference_name"),
        ({"caution": "x" * 200}, "120"),
        ({"name": "n" * 101}, "at most 100 characters"),
        ({"version": "1" * 101}, "at most 100 characters"),
        ({"metrics": {"accuracy": 86.9}}, "accuracy is 86.9; give it as a share of all, from 0 to 1"),
        ({"metrics": {"accuracy": -0.1}}, "accuracy is -0.1"),
        ({"unknown": 1}, "unknown"),
        ({"opset": 0}, "opset"),
        ({"temperature": 0}, "temperature"),
        ({"precision": "int4"}, "precision"),
        ({"max_batch": 0}, "max_batch"),
        ({"parity": {"gap": -1, "photos": 1, "tolerance": 0.1}}, "gap"),
        (
            {
                "parity": {
                    "gap": 0,
                    "photos": 1,
                    "tolerance": 0.1,
                    "samples": [{"seed": 1, "probabilities": [2]}],
                }
            },
            "samples",
        ),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Card.model_validate(CARD.model_dump() | fields)


def test_a_card_from_before_files_said_how_they_were_made_is_still_read() -> None:
    new = {"dataset", "members", "opset", "precision", "temperature", "parity", "max_batch"}
    card = Card.model_validate(CARD.model_dump(exclude=new))
    assert (card.opset, card.precision, card.temperature, card.parity) == (None, None, None, None)
    assert (card.dataset, card.members, card.max_batch) == ("", (), None)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgeRefused, match="no such file"):
        Judge(tmp_path / "missing.onnx")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "judge.onnx"
    file.write_bytes(b"nonsense")

    with pytest.raises(JudgeRefused, match=r"judge\.onnx: no ONNX file that can be loaded"):
        Judge(file)


def test_a_model_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgeRefused, match="holds no 'card'"):
        Judge(brightness_judge(tmp_path / "judge.onnx", card=""))


def test_a_model_with_a_broken_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgeRefused, match="its card is wrong"):
        Judge(brightness_judge(tmp_path / "judge.onnx", card='{"name": "x"}'))


def test_a_graph_that_expects_another_size_than_its_card_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgeRefused, match=r"\[64, 64, 3\].*expected.*\[32, 32, 3\]"):
        Judge(brightness_judge(tmp_path / "judge.onnx", side=64))


def test_a_graph_with_more_columns_than_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgeRefused, match="expected 2 that sum to 1"):
        Judge(brightness_judge(tmp_path / "judge.onnx", labels=3))
