"""From posts to a judge's file by the commands alone, checked against the truth that only a drawing has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from model.judge import Judge
from tests.chain import Chain

pytestmark = pytest.mark.e2e

THREE_POINTS = 0.03


@pytest.fixture(scope="module")
def found(chain: Chain) -> dict[str, Any]:
    return chain.found()


@pytest.fixture(scope="module")
def network(chain: Chain, found: dict[str, Any]) -> Path:
    assert found
    return chain.folder / "network"


def best_possible(network: Path, split: str) -> float:
    """Accuracy of a judge that knows each photo's appeal, on the very posts that the file was measured on."""
    columns = pq.read_table(network / "labelled.parquet").to_pydict()
    appeal, label = np.array(columns["appeal"]), np.array(columns["label"])
    chosen = np.array(columns["split"]) == split
    return float(((appeal > np.median(appeal)) == label)[chosen].mean())


def test_what_was_learned_from_likes_is_within_three_points_of_the_best_there_can_be(
    found: dict[str, Any], network: Path
) -> None:
    evaluation = found["evaluate"]

    assert evaluation["accuracy"]["value"] > best_possible(network, "test") - THREE_POINTS
    assert evaluation["accuracy"]["low"] > evaluation["guessing"]
    assert found["simulate"]["ceiling"] == pytest.approx(0.65, abs=0.01)


def test_the_labels_are_as_many_good_as_bad(found: dict[str, Any]) -> None:
    assert found["label"]["labels"]["good"] == found["label"]["labels"]["bad"]


def test_no_author_is_in_two_parts(network: Path) -> None:
    columns = pq.read_table(network / "labelled.parquet", columns=["author", "split"]).to_pydict()

    parts = set(zip(columns["author"], columns["split"], strict=True))

    assert len(parts) == len(set(columns["author"]))


def test_the_file_is_a_small_judge_that_knows_where_it_comes_from(
    chain: Chain, found: dict[str, Any]
) -> None:
    file = chain.folder / "judge.onnx"

    card = Judge(file).card

    assert file.stat().st_size < 6_000_000
    assert card.dataset == found["label"]["fingerprint"]
    assert card.precision == "int8"
    assert card.accuracy == pytest.approx(found["evaluate"]["accuracy"]["value"], abs=1e-3)
    assert len(card.reference) > 50


def test_the_report_shows_what_was_measured(chain: Chain, found: dict[str, Any]) -> None:
    report = (chain.folder / "report.html").read_text()

    assert f"{found['evaluate']['accuracy']['value']:.1%}" in report
    assert "tone" in report
