from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from bot.messages import Judged
from model.engine import Engine
from model.judge import Judge, Opinions
from model.pixels import Pixels
from tests.judges import CARD, SIDE, brightness_judge
from worker.batcher import Batcher

SECONDS = 10

Answers = SimpleQueue[tuple[int, Judged | Exception]]


class Slow(Judge):
    """A real judge that can be held up, and that some photos make stumble."""

    def __init__(self, file: Path, stumbles_at: int | None = None) -> None:
        super().__init__(file, Engine())
        self.batches: list[int] = []
        self.called = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        self.is_held = False
        self._stumbles_at = stumbles_at

    def __call__(self, photos: Pixels) -> Opinions:
        self.batches.append(len(photos))
        self.called.release()
        if self.is_held:
            assert self.may_go_on.acquire(timeout=SECONDS)
        if self._stumbles_at is not None and (photos[:, 0, 0, 0] == self._stumbles_at).any():
            raise RuntimeError("a photo that no model should see")
        return super().__call__(photos)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return brightness_judge(tmp_path / "judge.onnx")


@pytest.fixture
def judge(file: Path) -> Slow:
    return Slow(file)


@pytest.fixture
def batcher() -> Iterator[Batcher]:
    batcher = Batcher(calls=1, most=4)
    yield batcher
    batcher.close()


def grey(level: int, side: int = SIDE) -> Pixels:
    return np.full((side, side, 3), level, np.uint8)


def submit(batcher: Batcher, judge: Judge, *levels: int) -> Answers:
    answers: Answers = SimpleQueue()
    for level in levels:
        batcher.submit(judge, grey(level), lambda opinion, level=level: answers.put((level, opinion)))  # type: ignore[misc]
    return answers


def scores(answers: Answers, count: int) -> dict[int, float]:
    found = {}
    for _ in range(count):
        level, opinion = answers.get(timeout=SECONDS)
        assert isinstance(opinion, Judged)
        found[level] = opinion.score
    return found


def hold_up(batcher: Batcher, judge: Slow) -> Answers:
    """Have the model busy with one photo."""
    judge.is_held = True
    answers = submit(batcher, judge, 255)
    assert judge.called.acquire(timeout=SECONDS)
    return answers


def let_go(judge: Slow) -> None:
    judge.is_held = False
    judge.may_go_on.release()


def test_a_photo_that_comes_alone_is_judged_alone_and_at_once(batcher: Batcher, judge: Slow) -> None:
    begin = time.monotonic()

    _, opinion = submit(batcher, judge, 51).get(timeout=SECONDS)

    assert isinstance(opinion, Judged)
    assert opinion.score == pytest.approx(0.2)
    assert (opinion.label, opinion.percentile) == ("dark", CARD.percentile(0.2))
    assert time.monotonic() - begin < 2
    assert judge.batches == [1]


def test_what_comes_while_the_model_is_busy_makes_the_next_batch(batcher: Batcher, judge: Slow) -> None:
    hold_up(batcher, judge)
    answers = submit(batcher, judge, 0, 51, 102)
    let_go(judge)

    assert scores(answers, 3) == pytest.approx({0: 0, 51: 0.2, 102: 0.4})
    assert judge.batches == [1, 3]


def test_a_batch_has_an_end(batcher: Batcher, judge: Slow) -> None:
    hold_up(batcher, judge)
    answers = submit(batcher, judge, *range(9))
    let_go(judge)

    assert list(scores(answers, 9)) == list(range(9))
    assert judge.batches == [1, 4, 4, 1]


def test_a_batch_is_only_ever_of_a_size_that_the_judge_was_warmed_up_for(judge: Slow) -> None:
    batcher = Batcher(calls=1, most=8)
    hold_up(batcher, judge)
    answers = submit(batcher, judge, *range(13))
    let_go(judge)

    assert list(scores(answers, 13)) == list(range(13))
    assert judge.batches == [1, 8, 4, 1]
    batcher.close()


def test_a_judge_gets_no_more_photos_at_a_time_than_its_card_allows(batcher: Batcher, tmp_path: Path) -> None:
    card = CARD.model_copy(update={"max_batch": 2}).model_dump_json()
    judge = Slow(brightness_judge(tmp_path / "large.onnx", card=card))
    hold_up(batcher, judge)
    answers = submit(batcher, judge, *range(5))
    let_go(judge)

    assert list(scores(answers, 5)) == list(range(5))
    assert judge.batches == [1, 2, 2, 1]


def test_a_bad_photo_fails_alone(batcher: Batcher, file: Path) -> None:
    judge = Slow(file, stumbles_at=13)
    hold_up(batcher, judge)
    answers = submit(batcher, judge, 0, 13, 51)
    let_go(judge)

    found = dict(answers.get(timeout=SECONDS) for _ in range(3))
    assert isinstance(found[13], RuntimeError)
    assert [found[level].score for level in (0, 51)] == pytest.approx([0, 0.2])  # type: ignore[union-attr]
    assert judge.batches == [1, 3, 1, 1, 1]


def test_pixels_of_the_wrong_size_fail_alone(batcher: Batcher, judge: Slow) -> None:
    hold_up(batcher, judge)
    answers = submit(batcher, judge, 51)
    batcher.submit(judge, grey(0, side=8), lambda opinion: answers.put((8, opinion)))
    let_go(judge)

    found = dict(answers.get(timeout=SECONDS) for _ in range(2))
    assert isinstance(found[8], Exception)
    assert isinstance(found[51], Judged)


class Babbler(Judge):
    """Finds a number that is none."""

    def __call__(self, photos: Pixels) -> Opinions:
        opinions = super().__call__(photos)
        opinions.scores[:] = np.nan
        return opinions


def test_a_judge_that_makes_no_sense_does_not_end_the_batcher(
    batcher: Batcher, file: Path, judge: Slow
) -> None:
    _, opinion = submit(batcher, Babbler(file), 51).get(timeout=SECONDS)

    assert isinstance(opinion, ValueError)
    assert scores(submit(batcher, judge, 51), 1) == pytest.approx({51: 0.2})


def test_only_photos_with_the_same_judge_make_a_batch(batcher: Batcher, judge: Slow, tmp_path: Path) -> None:
    other = Slow(brightness_judge(tmp_path / "other.onnx", side=16, card=other_card()))
    hold_up(batcher, judge)
    answers: Answers = SimpleQueue()
    for number in range(6):
        of, side = (other, 16) if number % 2 else (judge, SIDE)
        batcher.submit(of, grey(number, side), lambda opinion, number=number: answers.put((number, opinion)))  # type: ignore[misc]
    let_go(judge)

    assert set(scores(answers, 6)) == set(range(6))
    assert (judge.batches, other.batches) == ([1, 3], [3])


def other_card() -> str:
    return CARD.model_copy(update={"input_size": 16}).model_dump_json()


def test_two_calls_run_at_a_time_and_share_what_is_ready(judge: Slow) -> None:
    batcher = Batcher(calls=2, most=8)
    judge.is_held = True
    for _ in range(2):
        submit(batcher, judge, 255)
        assert judge.called.acquire(timeout=SECONDS)
    answers = submit(batcher, judge, *range(4))
    judge.is_held = False
    judge.may_go_on.release(2)

    assert set(scores(answers, 4)) == set(range(4))
    assert sum(judge.batches) == 6
    batcher.close()


def test_who_makes_a_photo_ready_judges_it(judge: Slow) -> None:
    batcher = Batcher(calls=1, most=4)
    threads: SimpleQueue[str] = SimpleQueue()

    def work() -> None:
        threads.put(threading.current_thread().name)
        batcher.submit(judge, grey(51), lambda _: threads.put(threading.current_thread().name))

    for _ in range(3):
        batcher.do(work)
    batcher.close()

    assert [threads.get_nowait() for _ in range(6)] == ["photos 0"] * 6
    assert judge.batches == [1, 1, 1]


def test_a_photo_that_cannot_be_made_ready_costs_no_thread(
    batcher: Batcher, judge: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble() -> None:
        raise ValueError("two left feet")

    batcher.do(stumble)
    answers: Answers = SimpleQueue()
    batcher.do(lambda: batcher.submit(judge, grey(51), lambda opinion: answers.put((51, opinion))))

    assert scores(answers, 1) == pytest.approx({51: 0.2})
    assert "a photo was not made ready" in caplog.text


def test_what_a_photo_was_made_of_is_gone_once_it_is_judged(batcher: Batcher, judge: Slow) -> None:
    class File:
        pass

    file, answers = File(), Answers()
    gone = threading.Event()
    weakref.finalize(file, gone.set)

    def work(_: File) -> None:
        batcher.submit(judge, grey(51), lambda opinion: answers.put((51, opinion)))

    batcher.do(partial(work, file))
    del file

    assert scores(answers, 1) == pytest.approx({51: 0.2})
    assert gone.wait(1)


def test_while_the_model_is_busy_further_photos_are_made_ready(judge: Slow) -> None:
    batcher = Batcher(calls=1, most=4, threads=2)
    hold_up(batcher, judge)
    answers: Answers = SimpleQueue()
    made = threading.Semaphore(0)

    def work() -> None:
        batcher.submit(judge, grey(51), lambda opinion: answers.put((51, opinion)))
        made.release()

    for _ in range(3):
        batcher.do(work)
    assert all(made.acquire(timeout=SECONDS) for _ in range(3))
    assert judge.batches == [1]
    let_go(judge)

    assert scores(answers, 1) == pytest.approx({51: 0.2})
    batcher.close()
    assert judge.batches == [1, 3]


def test_no_more_calls_run_at_a_time_than_there_may_be_however_many_threads_there_are(judge: Slow) -> None:
    batcher = Batcher(calls=1, most=1, threads=3)
    hold_up(batcher, judge)
    answers = submit(batcher, judge, 0, 51)

    assert not judge.called.acquire(timeout=0.1)
    let_go(judge)

    assert set(scores(answers, 2)) == {0, 51}
    batcher.close()


def test_somebody_who_does_not_take_an_opinion_costs_nobody_else_theirs(
    batcher: Batcher, judge: Slow, caplog: pytest.LogCaptureFixture
) -> None:
    def drop(_: Judged | Exception) -> None:
        raise ValueError("butter fingers")

    batcher.submit(judge, grey(0), drop)

    assert scores(submit(batcher, judge, 51), 1) == pytest.approx({51: 0.2})
    assert "an opinion was not taken" in caplog.text


def test_a_watcher_sees_every_batch(judge: Slow) -> None:
    seen: list[tuple[Judge, int, float]] = []
    batcher = Batcher(
        calls=1,
        most=4,
        watch=lambda judge, photos, opinions: seen.append((judge, len(photos), opinions.scores[0])),
    )

    scores(submit(batcher, judge, 51), 1)

    assert [(who, count) for who, count, _ in seen] == [(judge, 1)]
    assert seen[0][2] == pytest.approx(0.2)
    batcher.close()


def test_closing_judges_what_is_ready(judge: Slow) -> None:
    batcher = Batcher(calls=1, most=4)
    hold_up(batcher, judge)
    answers = submit(batcher, judge, *range(6))
    let_go(judge)

    batcher.close()

    assert answers.qsize() == 6


def test_where_more_wait_a_few_photos_are_made_ready_before_all_of_them_are_judged(judge: Slow) -> None:
    def batches() -> list[int]:
        judge.batches.clear()
        batcher = Batcher(calls=1, most=4, ahead=4)
        everybody_waits = threading.Event()
        batcher.do(lambda: assert_soon(everybody_waits))
        for _ in range(6):
            batcher.do(lambda: batcher.submit(judge, grey(51), lambda _: None))
        everybody_waits.set()
        batcher.close()
        return judge.batches

    # Whoever stands still for a quarter of a second meanwhile, waits for no more.
    assert any(batches() == [4, 2] for _ in range(3))


def test_no_photo_waits_for_long_because_others_do_not_get_ready(judge: Slow) -> None:
    batcher = Batcher(calls=1, most=4, ahead=4)
    done, judged = [], threading.Event()

    def waste() -> None:
        # As a photo does that takes its decoder long, and is none after all.
        if not judged.wait(0.05):
            done.append(time.monotonic())

    everybody_waits = threading.Event()
    batcher.do(lambda: assert_soon(everybody_waits))
    batcher.do(lambda: batcher.submit(judge, grey(51), lambda _: judged.set()))
    for _ in range(100):
        batcher.do(waste)
    everybody_waits.set()

    assert judged.wait(SECONDS)
    batcher.close()
    assert len(done) < 50


def assert_soon(event: threading.Event) -> None:
    assert event.wait(SECONDS)
