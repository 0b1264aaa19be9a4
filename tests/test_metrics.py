"""Numbers about a judge, against scikit-learn's and against cases that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from model.evaluation.calibration import expected_error
from model.evaluation.intervals import Interval, Units
from model.evaluation.metrics import Ranking, auc, confusion, log_loss, precision_recall_f1, roc

SEEDS = range(5)


def drawn(seed: int, labels: int = 2, posts: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and probabilities that know something of them, rounded so that many are equal."""
    rng = np.random.default_rng(seed)
    label = rng.integers(labels, size=posts)
    logits = rng.normal(size=(posts, labels)) + np.eye(labels)[label]
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return label, probabilities.round(1) + 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_the_area_under_the_curve_is_scikit_learns_with_ties(seed: int) -> None:
    label, probabilities = drawn(seed)
    scores, good = probabilities[:, 1], (label == 1).astype(float)

    assert auc(scores, good, 1 - good) == pytest.approx(sk.roc_auc_score(label, scores))


def test_a_photo_in_three_posts_weighs_three_times() -> None:
    label, probabilities = drawn(0)
    times = np.random.default_rng(1).integers(0, 4, len(label))
    good = (label == 1) * times

    expected = sk.roc_auc_score(label, probabilities[:, 1], sample_weight=times)
    assert auc(probabilities[:, 1], good, times - good) == pytest.approx(expected)


def test_many_weightings_at_once_are_the_same_as_one_by_one() -> None:
    label, probabilities = drawn(0)
    weights = np.random.default_rng(2).integers(0, 3, (7, len(label)))
    together = Ranking(probabilities[:, 1]).auc(weights * label, weights * (1 - label))

    one_by_one = [auc(probabilities[:, 1], row * label, row * (1 - label)) for row in weights]
    assert together == pytest.approx(one_by_one)


def test_without_a_negative_there_is_no_area() -> None:
    assert np.isnan(auc(np.array([0.1, 0.2]), np.ones(2), np.zeros(2)))


@pytest.mark.parametrize(
    ("scores", "area"),
    [([0.1, 0.9], 1), ([0.9, 0.1], 0), ([0.5, 0.5], 0.5), ([0.2, 0.2], 0.5)],
)
def test_the_area_is_the_share_of_pairs_in_order(scores: list[float], area: float) -> None:
    assert auc(np.array(scores), np.array([0.0, 1.0]), np.array([1.0, 0.0])) == area


@pytest.mark.parametrize("seed", SEEDS)
def test_the_roc_curve_goes_through_scikit_learns_points(seed: int) -> None:
    label, probabilities = drawn(seed)
    good = (label == 1).astype(float)
    lost, won = roc(probabilities[:, 1], good, 1 - good)
    expected_lost, expected_won, _ = sk.roc_curve(label, probabilities[:, 1], drop_intermediate=False)

    assert lost == pytest.approx(expected_lost)
    assert won == pytest.approx(expected_won)


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_confusion_precision_recall_and_f1_are_scikit_learns(labels: int) -> None:
    label, probabilities = drawn(3, labels)
    verdict = probabilities.argmax(1)
    table = confusion(label, verdict, labels)
    expected = sk.precision_recall_fscore_support(label, verdict)[:3]

    assert table.tolist() == sk.confusion_matrix(label, verdict).tolist()
    assert precision_recall_f1(table) == pytest.approx(np.stack(expected, axis=1))


def test_a_label_that_no_post_gets_has_no_precision() -> None:
    precision, recall, f1 = precision_recall_f1(np.array([[0, 4], [0, 6]]))[0]
    assert np.isnan(precision)
    assert (recall, f1) == (0, 0)


def test_the_surprise_is_scikit_learns() -> None:
    label, probabilities = drawn(4, 3)
    probabilities /= probabilities.sum(1, keepdims=True)
    assert log_loss(probabilities, label) == pytest.approx(sk.log_loss(label, probabilities))


def test_a_judge_that_is_always_certain_and_half_right_is_off_by_half() -> None:
    assert expected_error(np.ones(10), np.arange(10) < 5) == pytest.approx(0.5)


def test_a_judge_is_honest_when_what_it_says_comes_true_as_often() -> None:
    said = np.repeat([0.25, 0.75], 4)
    true = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    assert expected_error(said, true) == pytest.approx(0)


def test_the_error_of_each_bin_counts_by_its_posts() -> None:
    said = np.array([0.95, 0.95, 0.95, 0.05])  # off by 0.95 for three posts, by 0.05 for one
    assert expected_error(said, np.zeros(4, bool)) == pytest.approx((3 * 0.95 + 0.05) / 4)


def test_errors_in_one_bin_cancel_and_in_two_do_not() -> None:
    assert expected_error(np.array([0.51, 0.59]), np.array([True, False])) == pytest.approx(0.05)
    assert expected_error(np.array([0.41, 0.59]), np.array([True, False])) == pytest.approx(0.59)


def units(unit: list[int], resamples: int = 2000) -> Units:
    return Units("photos", np.array(unit), max(unit) + 1, resamples)


def share(right: list[int], unit: list[int]) -> Interval:
    values = np.array(right, float)[:, None]
    return Interval.of(float(np.mean(right)), units(unit).ratios(values, np.ones_like(values))[:, 0])


def test_the_interval_of_a_share_is_as_wide_as_the_textbook_says() -> None:
    one = share([1, 0] * 200, list(range(400)))
    assert one.value == 0.5
    assert one.high - one.low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.1)


def test_a_hundred_posts_of_one_photo_say_little_more_than_one() -> None:
    right, photo = np.repeat([1, 0] * 10, 100).tolist(), np.repeat(np.arange(20), 100).tolist()
    by_photo, by_post = share(right, photo), share(right, list(range(2000)))
    assert by_photo.high - by_photo.low > 5 * (by_post.high - by_post.low)


def test_what_never_varies_has_no_width() -> None:
    one = share([1] * 30, list(range(30)))
    assert (one.low, one.value, one.high) == (1, 1, 1)


def test_resamples_are_the_same_every_time() -> None:
    assert share([1, 0, 0, 1, 1], [0, 1, 2, 3, 4]) == share([1, 0, 0, 1, 1], [0, 1, 2, 3, 4])


def test_each_resample_draws_as_many_units_as_there_are() -> None:
    drawn = np.concatenate(list(units([0, 1, 2, 2], resamples=50).draws()))
    assert drawn.shape == (50, 3)
    assert (drawn.sum(1) == 3).all()


def test_an_interval_that_was_picked_for_being_extreme_is_wider() -> None:
    draws = np.random.default_rng(0).normal(size=5000)
    plain, picked = Interval.of(0, draws), Interval.of(0, draws, chosen_from=10)
    assert picked.low < plain.low < plain.high < picked.high


def test_draws_that_say_nothing_are_left_out() -> None:
    one = Interval.of(0.5, np.array([0.4, np.nan, 0.6]))
    assert 0.4 <= one.low <= one.high <= 0.6
    nothing = Interval.of(0.5, np.full(3, np.nan))
    assert np.isnan(nothing.low)
