"""The head that is held steady over photos of the same take."""

from __future__ import annotations

import numpy as np
import pytest

from model.training.steadiness import steady_head

PHOTOS, FEATURES, PEOPLE = 600, 8, 6


def photos(labels: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (p, F), counts (p, K) and takes (p,): the first feature is the shot's, the last the person's.

    The person's is almost as telling in the labels as the shot's, as prejudice is.
    """
    rng = np.random.default_rng(seed)
    shots = rng.normal(size=PHOTOS // PEOPLE).repeat(PEOPLE)
    features = rng.normal(size=(PHOTOS, FEATURES)).astype(np.float32)
    features[:, 0] = shots + rng.normal(0, 0.1, PHOTOS)
    liked = shots + 0.8 * features[:, -1]
    bounds = np.quantile(liked, np.linspace(0, 1, labels + 1)[1:-1])
    counts = np.zeros((PHOTOS, labels), np.float32)
    for _ in range(20):
        counts[np.arange(PHOTOS), np.digitize(liked + rng.normal(0, 1, PHOTOS), bounds)] += 1
    return features, counts, np.arange(PHOTOS // PEOPLE).astype(str).repeat(PEOPLE)


def test_what_differs_within_a_take_counts_for_little() -> None:
    steady, _ = steady_head(*photos(), steadiness=100)
    free, _ = steady_head(*photos(), steadiness=0)
    towards_good = [weight[1] - weight[0] for weight in (steady, free)]
    assert abs(towards_good[1][-1]) > 0.6 * towards_good[1][0]
    assert abs(towards_good[0][-1]) < 0.2 * towards_good[0][0]


@pytest.mark.parametrize("labels", [2, 3])
def test_the_logits_are_calibrated(labels: int) -> None:
    features, counts, takes = photos(labels)
    weight, bias = steady_head(features, counts, takes, steadiness=1)
    assert (weight.shape, bias.shape) == ((labels, FEATURES), (labels,))
    logits = features @ weight.T + bias
    odds = np.exp(logits - logits.max(1, keepdims=True))
    probabilities = odds / odds.sum(1, keepdims=True)
    assert probabilities.mean(0) == pytest.approx(counts.sum(0) / counts.sum(), abs=0.01)
    sure = probabilities[:, -1] > 0.6
    assert counts[sure, -1].sum() / counts[sure].sum() == pytest.approx(
        probabilities[sure, -1].mean(), abs=0.06
    )


def test_takes_may_come_in_any_order_and_alone() -> None:
    features, counts, takes = photos()
    order = np.random.default_rng(1).permutation(PHOTOS)
    expected = steady_head(features, counts, takes)
    shuffled = steady_head(features[order], counts[order], takes[order])
    assert np.allclose(expected[0], shuffled[0], atol=1e-3)
    alone = steady_head(features, counts, np.arange(PHOTOS).astype(str))
    assert np.allclose(alone[0], steady_head(features, counts, takes, steadiness=0)[0], atol=1e-3)
