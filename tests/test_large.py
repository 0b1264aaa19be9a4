"""benchmarks.large: its judge, its arithmetic, and that all its ways judge every photo."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from benchmarks import large
from benchmarks.large_judge import SIDE, layers, parameters, vgg16
from model.cores import cores
from model.engine import Engine
from model.judge import Judge, Opinions
from model.patterns import patterns
from model.pixels import Pixels
from tests.judges import brightness_judge


class Counting(Judge):
    """A judge that remembers how many photos each call had."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.lock = threading.Lock()
        self.batches: list[int] = []

    def __call__(self, photos: Pixels) -> Opinions:
        with self.lock:
            self.batches.append(len(photos))
        return super().__call__(photos)


@pytest.fixture
def judge(tmp_path: Path) -> Counting:
    return Counting(brightness_judge(tmp_path / "judge.onnx"))


def test_it_is_as_large_as_vgg16_with_two_labels() -> None:
    assert len(layers()) == 16
    assert parameters() == 134_268_738  # torchvision's, less what 998 further labels take


def test_it_is_a_judge(tmp_path: Path) -> None:
    judge = Judge(vgg16(tmp_path / "thin.onnx", thin=16), Engine(threads=1))

    opinions = judge(patterns(range(2), SIDE))

    assert opinions.embedding.shape == (2, 256)
    assert np.isfinite(opinions.embedding).all()
    assert opinions.embedding.std() > 0.01


def test_each_way_judges_all_photos(judge: Counting) -> None:
    squares = patterns(range(large.BATCH), judge.card.input_size)
    count = 4 * large.BATCH * cores()

    for way in (large.batched, large.calls):
        judge.batches.clear()
        way(judge, squares, count)
        assert sum(judge.batches) == count
        assert max(judge.batches) <= large.BATCH
    judge.batches.clear()
    large.one_call(judge, squares, count)
    assert judge.batches == [large.BATCH * cores()] * 4


def test_a_photo_that_is_not_judged_is_not_counted_as_fast(judge: Counting) -> None:
    wrong = patterns(range(1), judge.card.input_size // 2)

    with pytest.raises(AssertionError, match="not judged"):
        large.batched(judge, wrong, 3)


def test_the_batcher_is_compared_with_the_better_way_of_its_own_round() -> None:
    found = large.compared([[9, 10, 5], [8, 4, 8], [3, 6, 5]])

    assert found == {"ratio": 0.9, "batcher_per_second": 8, "runtime_per_second": 8}


def test_the_report_has_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = brightness_judge(tmp_path / "judge.onnx")
    found = large.alone(file, photos=large.BATCH * cores(), rounds=1)
    served = dict.fromkeys(
        ("ready_seconds", "worker_mb", "worker_peak_mb", "worker_per_second", "worker_cpu_ms"), 1.0
    )

    large.show(found | served | {"weights_mb": 537, "cores": cores()})

    assert "VGG16, 134 million parameters" in capsys.readouterr().out
    assert found["peak_mb"] >= found["loaded_mb"]
