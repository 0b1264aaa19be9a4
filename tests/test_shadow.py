"""A shadow judge, as the metrics see it: real judges, turn by turn."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from prometheus_client import REGISTRY

from model.judge import Judge
from model.pixels import Pixels
from tests.judges import SIDE, versioned
from worker import shadow
from worker.shadow import FAILURES, WAITING, Shadow


def photos(*levels: int) -> Pixels:
    return np.stack([np.full((SIDE, SIDE, 3), level, np.uint8) for level in levels])


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"deepselfie_shadow_{name}", labels) or 0.0


class Pair:
    """A judge in use and its shadow, which takes its turns when it is told."""

    def __init__(self, place: Path) -> None:
        self.judge = Judge(versioned(place / "v1.onnx", "1"))
        self.side = SIDE
        self.folder = place / "shadow"
        self.shadow = Shadow(self.folder, lambda: self.side)

    def put(self, version: str, *, side: int = SIDE, white: float = 255) -> Path:
        self.folder.mkdir(exist_ok=True)
        return versioned(self.folder / f"{version}.onnx", version, side=side, white=white)

    def version(self) -> str | None:
        """Which one is at work after one more look."""
        self.shadow.turn()
        return self.shadow.seat.version if self.shadow.seat else None

    def offer(self, squares: Pixels) -> None:
        self.shadow.offer(self.judge, squares, self.judge(squares))


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    # Every turn looks, and none waits.
    monkeypatch.setattr(shadow, "LOOK_SECONDS", 0)
    return Pair(tmp_path)


def test_differences_and_labels_are_counted(pair: Pair) -> None:
    pair.put("2", white=510)  # half as bright
    assert pair.version() == "2"
    same, other = counted("photos_total", outcome="same"), counted("photos_total", outcome="other")
    total = counted("difference_sum")

    pair.offer(photos(0, 51, 255))
    pair.shadow.turn()

    assert counted("photos_total", outcome="same") - same == 2
    assert counted("photos_total", outcome="other") - other == 1
    assert counted("difference_sum") - total == pytest.approx(0.1 + 0.5)


def test_the_metrics_tell_which_shadow_judge_there_is(pair: Pair) -> None:
    def shown(version: str) -> float | None:
        labels = {"role": "shadow", "name": "brightness", "version": version, "file": f"{version}.onnx"}
        labels["provider"] = "cpu"
        return REGISTRY.get_sample_value("deepselfie_judge_info", labels)

    pair.put("2")
    pair.shadow.turn()
    assert shown("2") == 1
    pair.put("3")
    pair.shadow.turn()
    assert (shown("2"), shown("3")) == (None, 1)
    shutil.rmtree(pair.folder)
    pair.shadow.turn()
    assert shown("3") is None


def test_without_a_shadow_judge_no_photo_is_kept(pair: Pair) -> None:
    assert pair.version() is None
    pair.offer(photos(1))
    pair.put("2")
    before = counted("difference_count")
    assert [pair.version(), pair.version()] == ["2", "2"]
    assert counted("difference_count") == before


def test_what_comes_while_it_is_busy_is_dropped_at_once(pair: Pair) -> None:
    pair.put("2")
    pair.shadow.turn()
    before = counted("photos_total", outcome="dropped")
    for _ in range(WAITING + 3):
        pair.offer(photos(1, 2))
    assert counted("photos_total", outcome="dropped") - before == 3 * 2


def test_what_has_waited_for_long_is_dropped(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.put("2")
    pair.shadow.turn()
    before = counted("photos_total", outcome="dropped")
    monkeypatch.setattr(shadow, "WAITING_SECONDS", 0)
    pair.offer(photos(1))
    pair.shadow.turn()
    assert counted("photos_total", outcome="dropped") - before == 1


def test_a_shadow_judge_of_another_size_is_refused_until_the_one_in_use_has_that_size(pair: Pair) -> None:
    pair.put("2", side=48)
    assert pair.version() is None
    assert "squares of 48 pixels, the judge in use those of 32" in pair.shadow.refused["shadow/2.onnx"]
    pair.side = 48
    assert pair.version() == "2"
    assert pair.shadow.refused == {}
    pair.side = 32
    assert pair.version() is None
    assert list(pair.shadow.refused) == ["shadow/2.onnx"]


def fragile(file: Path) -> Path:
    """Let a judge fail on five photos or more, by looking for what is not in a table."""
    model = onnx.load(file)
    nodes = [
        helper.make_node("Shape", ["photos"], ["count"], start=0, end=1),
        helper.make_node("Gather", ["table", "count"], ["nothing"]),
        helper.make_node("Add", ["share", "nothing"], ["sum"]),
    ]
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(5, np.float32), "table"))
    at = [node.op_type for node in model.graph.node].index("Flatten")
    model.graph.node[at].input[0] = "sum"
    for node in reversed(nodes):
        model.graph.node.insert(at, node)
    onnx.save(model, file)
    return file


def test_a_shadow_judge_that_fails_again_and_again_is_given_up_until_its_file_changes(pair: Pair) -> None:
    file = fragile(pair.put("2"))
    assert pair.version() == "2"
    for _ in range(FAILURES - 1):
        pair.offer(photos(*range(5)))
        assert pair.version() == "2"
    pair.offer(photos(1))  # one that it can do
    pair.shadow.turn()
    for _ in range(FAILURES):
        assert pair.version() == "2"
        pair.offer(photos(*range(5)))
        pair.shadow.turn()
    assert pair.version() is None
    assert f"it failed {FAILURES} times in a row" in pair.shadow.refused["shadow/2.onnx"]
    file.touch()
    assert pair.version() == "2"


def test_a_folder_that_nobody_can_look_for_is_told_of_once_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # What root, too, is told an error about.
    blind = Shadow(tmp_path / ("x" * 300), lambda: SIDE)

    for _ in range(3):
        blind.turn()

    assert len(caplog.records) == 1
    assert not caplog.records[0].exc_info
    assert "judges' folder away" in caplog.text
