"""What a judge runs on. A GPU's part is tested as far as a CPU goes."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest

from model.batches import fitting, sizes
from model.binding import Bound
from model.engine import (
    BEST_FIRST,
    NAMES,
    Engine,
    Provider,
    Wish,
    candidates,
    choose,
    listing,
    start,
    suited,
)
from model.judge import DEFAULT_FILE, Judge, JudgeRefused
from model.patterns import patterns
from model.pixels import Pixels
from tests.judges import CARD, SIDE, brightness_judge

CPU, CUDA, TENSORRT = NAMES["cpu"], NAMES["cuda"], NAMES["tensorrt"]

needs_no_gpu = pytest.mark.skipif(
    CUDA in ort.get_available_providers(), reason="onnxruntime-gpu is installed: nothing has to be asked for"
)


@pytest.mark.parametrize(
    ("wish", "offered", "order"),
    [
        ("auto", [CPU], ["cpu"]),
        ("auto", ["AzureExecutionProvider", CPU], ["cpu"]),
        ("auto", [TENSORRT, CUDA, CPU], ["tensorrt", "cuda", "cpu"]),
        ("auto", [CUDA, CPU], ["cuda", "cpu"]),
        ("cpu", [TENSORRT, CUDA, CPU], ["cpu"]),
        ("cuda", [TENSORRT, CUDA, CPU], ["cuda", "cpu"]),
        ("cuda", [CPU], ["cuda", "cpu"]),
        ("tensorrt", [CPU], ["tensorrt", "cuda", "cpu"]),
    ],
)
def test_the_best_provider_is_tried_first_and_the_cpu_last(
    wish: Wish, offered: list[str], order: list[Provider]
) -> None:
    assert list(candidates(wish, offered)) == order


@pytest.mark.parametrize("provider", BEST_FIRST)
def test_what_a_provider_cannot_do_the_next_one_does(provider: Provider) -> None:
    names = [name for name, _ in listing(provider)]
    assert names[0] == NAMES[provider]
    assert names[-1] == CPU
    assert names == [NAMES[each] for each in BEST_FIRST if NAMES[each] in names]


def test_cuda_may_try_all_its_ways_and_takes_no_more_memory_than_it_needs() -> None:
    [(_, options), _] = listing("cuda")
    assert options["cudnn_conv_algo_search"] == "EXHAUSTIVE"
    assert options["arena_extend_strategy"] == "kSameAsRequested"


def test_tensorrt_keeps_what_it_has_built_where_there_is_a_place_for_it(tmp_path: Path) -> None:
    [(_, with_place), *_] = listing("tensorrt", tmp_path)
    [(_, without), *_] = listing("tensorrt")
    assert with_place["trt_engine_cache_enable"] == "1"
    assert with_place["trt_engine_cache_path"] == str(tmp_path)
    assert without == {}


def test_a_cpu_gets_a_call_a_core_and_a_gpu_two_large_ones() -> None:
    assert suited("cpu", 8) == Engine("cpu", threads=1, calls=8, most=2)
    assert suited("cuda", 8) == Engine("cuda", threads=1, calls=2, most=32)
    assert suited("tensorrt", 1) == Engine("tensorrt", threads=1, calls=2, most=32)


def test_on_a_cpu_each_core_decodes_a_few_photos_before_it_judges_them_a_gpu_never_waits() -> None:
    assert suited("cpu", cores=4).ahead(decoders=4) == 16
    assert suited("cpu", cores=4, batch=1).ahead(decoders=8) == 16
    assert suited("cpu", cores=4, batch=8).ahead(decoders=4) == 32
    assert suited("cuda", cores=4).ahead(decoders=4) == 0


def test_decoders_that_are_fewer_than_cores_do_not_stand_idle_while_all_that_is_ready_is_judged() -> None:
    assert suited("cpu", cores=4).ahead(decoders=3) == 0


def test_the_operators_own_batch_goes_first() -> None:
    assert (suited("cpu", 1, 9).most, suited("cuda", 1, 64).most) == (9, 64)


def test_what_is_there_is_chosen_without_a_word() -> None:
    choice = choose("cpu", DEFAULT_FILE)
    assert (choice.provider, choice.passed_over) == ("cpu", {})


@needs_no_gpu
def test_without_anything_else_the_cpu_is_what_is_best() -> None:
    choice = choose("auto", DEFAULT_FILE)
    assert (choice.provider, choice.passed_over) == ("cpu", {})


@needs_no_gpu
def test_who_asks_for_cuda_and_has_none_gets_the_cpu_and_is_told_what_to_install() -> None:
    choice = choose("cuda", DEFAULT_FILE)
    assert choice.provider == "cpu"
    assert list(choice.passed_over) == ["cuda"]
    assert "offers" in choice.passed_over["cuda"]
    assert "pip install 'deepselfie[gpu]'" in choice.passed_over["cuda"]


@needs_no_gpu
def test_a_judge_is_refused_by_a_provider_that_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(JudgeRefused, match=r"judge\.onnx: .*WORKER_PROVIDER=cpu does without"):
        Judge(brightness_judge(tmp_path / "judge.onnx"), Engine("cuda"))


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (4, (1, 2, 3, 4)),
        (5, (1, 2, 3, 4, 5)),
        (32, (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)),
    ],
)
def test_batches_have_few_sizes(most: int, expected: tuple[int, ...]) -> None:
    assert sizes(most) == expected


@pytest.mark.parametrize("most", [1, 3, 4, 5, 32, 1024])
def test_a_batch_is_the_largest_that_there_are_photos_for(most: int) -> None:
    for count in range(1, 2 * most):
        size = fitting(count, most)
        assert size in sizes(most)
        assert size <= count
        assert not any(size < other <= count for other in sizes(most))
    assert fitting(0, most) == 1


def waves(count: int, first: int = 0) -> Pixels:
    return patterns(range(first, first + count), SIDE)


@pytest.fixture
def bound(tmp_path: Path) -> Bound:
    # A GPU's way through ONNX Runtime, with main memory for the card's.
    return Bound(start(brightness_judge(tmp_path / "judge.onnx"), 1), "cpu")


def means(photos: Pixels) -> list[float]:
    return [float(photo.mean()) / 255 for photo in photos]


def test_bound_memory_changes_no_answer(bound: Bound) -> None:
    for count in (3, 1, 3):
        photos = waves(count, first=count)
        probabilities, embedding = bound(["probabilities", "embedding"], photos)
        assert probabilities[:, 1] == pytest.approx(means(photos), abs=1e-5)
        assert (probabilities.shape, embedding.shape) == ((count, 2), (count, 1))


def test_an_answer_is_not_changed_by_the_next_call(bound: Bound) -> None:
    [first] = bound(["probabilities"], waves(2))
    kept = first.copy()
    bound(["probabilities"], waves(2, first=7))
    assert np.array_equal(first, kept)


def test_bound_memory_takes_squares_that_do_not_lie_in_one_piece(bound: Bound) -> None:
    photos = waves(2)[:, ::-1, ::-1]
    [probabilities] = bound(["probabilities"], photos)
    assert probabilities[:, 1] == pytest.approx(means(photos), abs=1e-5)


def test_threads_do_not_share_their_bound_memory(bound: Bound) -> None:
    found: dict[int, list[float]] = {}
    begin = threading.Barrier(4)

    def call(number: int) -> None:
        begin.wait()
        for _ in range(50):
            [probabilities] = bound(["probabilities"], waves(2, first=10 * number))
            found.setdefault(number, []).extend(probabilities[:, 1].tolist())

    threads = [threading.Thread(target=call, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(4):
        assert found[number] == pytest.approx(means(waves(2, first=10 * number)) * 50, abs=1e-5)


def limited(file: Path, most: int) -> Path:
    return brightness_judge(file, card=CARD.model_copy(update={"max_batch": most}).model_dump_json())


def test_a_judge_gets_no_more_photos_in_a_call_than_its_card_allows(tmp_path: Path) -> None:
    judge, photos = Judge(limited(tmp_path / "judge.onnx", 2), Engine(most=8)), waves(5)
    calls: list[int] = []
    run = judge._run

    def counted(outputs: Sequence[str], photos: Pixels) -> list[Any]:
        calls.append(len(photos))
        return run(outputs, photos)

    judge._run = counted
    opinions = judge(photos)

    assert calls == [2, 2, 1]
    assert judge.most == 2
    assert opinions.scores == pytest.approx(means(photos), abs=1e-5)
    assert opinions.embedding.shape == (5, 1)


def test_a_card_without_a_limit_leaves_it_to_the_engine(tmp_path: Path) -> None:
    assert Judge(brightness_judge(tmp_path / "judge.onnx"), Engine(most=8)).most == 8
    assert Judge(limited(tmp_path / "large.onnx", 16), Engine(most=8)).most == 8


def test_on_a_cpu_threads_decode_and_judge_in_turns_beside_a_gpu_both_go_on() -> None:
    assert suited("cpu", cores=4).threads_beside(decoders=4) == 4
    assert suited("cpu", cores=4).threads_beside(decoders=1) == 4
    assert suited("cpu", cores=1).threads_beside(decoders=8) == 8
    assert suited("cuda", cores=16).threads_beside(decoders=16) == 18
