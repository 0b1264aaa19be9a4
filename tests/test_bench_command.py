"""`deepselfie worker bench`: what it measures, and what it makes of that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.cores import cores
from model.engine import Engine, suited
from tests.judges import CARD, brightness_judge
from tests.photos import portrait_jpeg
from worker.advice import advise, best
from worker.speed import Rate, engines, keep_busy, photo


def rates(provider: str, **per_s: float) -> dict[Engine, Rate]:
    """What engines of 4 cores did, by their batch."""
    return {suited(provider, 4, int(size[1:])): Rate(1, value) for size, value in per_s.items()}  # type: ignore[arg-type]


def test_the_usual_batch_stays_unless_another_does_notably_more() -> None:
    assert best(rates("cpu", b1=100, b2=98, b8=101), 4).most == 2
    assert best(rates("cpu", b1=100, b2=60, b8=101), 4).most == 1
    assert best(rates("cpu", b1=50, b2=70, b8=100), 4).most == 8


def test_of_batches_that_do_as_much_the_smallest_answers_first() -> None:
    assert best(rates("cuda", b1=100, b16=1000, b32=800, b64=1001), 4).most == 16


def test_the_fastest_provider_is_used() -> None:
    engine = best(rates("cpu", b1=100, b4=100) | rates("cuda", b1=90, b32=1000), 4)
    assert (engine.provider, engine.calls, engine.most) == ("cuda", 2, 32)


def test_what_a_worker_does_not_do_itself_is_no_advice() -> None:
    other = {Engine("cpu", threads=4, calls=1, most=8): Rate(1, 200)}
    assert best(rates("cpu", b1=100, b2=100) | other, 4) == suited("cpu", 4)


def test_a_small_machine_needs_nothing_but_the_defaults() -> None:
    advice = advise(suited("cpu", 2), Rate(40, 50), Rate(11, 180), 38, 2)
    assert advice.settings == {
        "WORKER_BATCH": "2",
        "WORKER_DECODERS": "2",
        "WORKER_PHOTOS_AT_ONCE": "64",
    }
    assert advice.workers == 1
    assert advice.mentions_per_s < 38
    assert advice.limit == "cores"


def test_a_large_machine_is_shared_by_workers_who_have_more_in_hand() -> None:
    advice = advise(suited("cuda", 32), Rate(20, 1600), Rate(9, 5000), 1500, 32)
    assert advice.limit == "decoding"
    assert advice.workers > 1
    assert advice.decoders * advice.workers >= 32
    assert advice.photos_at_once * advice.workers > advice.mentions_per_s


def test_a_slow_judge_is_what_limits_a_card() -> None:
    assert advise(suited("cuda", 32), Rate(20, 1600), Rate(90, 300), 290, 32).limit == "judging"


def test_a_cpu_is_tried_as_workers_use_it_and_in_one_piece() -> None:
    tried = engines("cpu")
    assert suited("cpu", cores()) in tried
    assert all(engine.threads * engine.calls == cores() for engine in tried)


def test_a_gpu_is_tried_with_all_sizes_of_batch() -> None:
    assert [engine.most for engine in engines("cuda")][-2:] == [48, 64]
    assert suited("cuda", cores()) in engines("cuda")


def test_threads_count_together() -> None:
    rate = keep_busy(4, lambda: time.sleep(0.01), 1)
    assert 10 <= rate.ms < 100
    assert rate.per_s > 1.5 / (rate.ms / 1000)


def test_what_fails_in_a_thread_ends_the_measurement() -> None:
    calls = iter([None])

    def once() -> None:
        if next(calls, "spent") == "spent":
            raise OSError("it broke")

    with pytest.raises(OSError, match="it broke"):
        keep_busy(2, once, 0.1)


def test_the_drawn_photo_costs_as_much_as_one_from_a_network() -> None:
    assert 200_000 < len(photo()) < 1_500_000


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", "worker", "bench", "--seconds", "0.05", *arguments],
        env={name: value for name, value in os.environ.items() if name != "WORKER_MODEL"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def judge(tmp_path: Path) -> Path:
    return brightness_judge(tmp_path / "judge.onnx")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "photo.jpg"
    file.write_bytes(portrait_jpeg())
    return file


@pytest.mark.e2e
def test_it_prints_what_it_measured_and_what_to_set(judge: Path, small: Path) -> None:
    done = bench(str(judge), "--photo", str(small))
    assert done.returncode == 0, done.stderr
    assert f"{cores()} of {os.cpu_count()} cores" in done.stdout
    assert "judge.onnx" in done.stdout
    assert "WORKER_BATCH=" in done.stdout
    assert "mentions/s" in done.stdout


@pytest.mark.e2e
def test_programs_get_the_same_as_json(judge: Path, small: Path, tmp_path: Path) -> None:
    limited = CARD.model_copy(update={"max_batch": 1}).model_dump_json()
    other = brightness_judge(tmp_path / "other.onnx", card=limited)
    found = json.loads(bench(str(judge), str(other), "--photo", str(small), "--json").stdout)

    assert found["cores"] == cores()
    assert "ONNX Runtime" in found["machine"]
    assert found["decoding"][0]["at_once"] == 1
    assert {row["file"] for row in found["judging"]} == {str(judge), str(other)}
    assert {row["most"] for row in found["judging"] if row["file"] == str(other)} == {1}
    assert {row["provider"] for row in found["judging"]} >= {"cpu"}
    assert found["together_per_s"] > 0
    assert found["file"] in {str(judge), str(other)}
    assert found["advice"]["settings"]["WORKER_BATCH"]


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing.onnx"], "missing.onnx: no such file"),
        (["--photo", "missing.jpg"], "missing.jpg"),
        (["--photo", __file__], "test_bench_command.py: file is none of JPEG"),
        (["--seconds", "0"], "'0' is no duration; give seconds, up to 60"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_sentence(arguments: list[str], words: str) -> None:
    done = bench(*arguments)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
