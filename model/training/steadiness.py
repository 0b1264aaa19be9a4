"""A head that judges the photo and not who is in it: least squares, held steady over photos of the same take.

Where several people took the same shot, each before a background of their own, their photos should get the
same score. A feature counts for what it tells about labels, and the less the more it varies within a take:
Fisher's discriminant, with a ridge.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.training.cache import Cache
from model.training.network import Network
from model.training.parts import Part

Floats = NDArray[np.float32]

DECAY = 0.1
STEADINESS = 20.0


def fit_head(network: Network, cache: Cache, part: Part, steadiness: float) -> None:
    """Fit a network's head to the features that are kept of a part's photos, held steady over its shots."""
    [features] = cache.rows(kept := np.flatnonzero(cache.readable))
    network.standardise(torch.from_numpy(features.mean(0)), torch.from_numpy(features.std(0)))
    standard = (features - network.centre.cpu().numpy()) / network.spread.cpu().numpy()
    weight, bias = steady_head(standard, part.counts[kept], part.shots[kept], steadiness=steadiness)
    with torch.no_grad():
        network.head.weight.copy_(torch.from_numpy(weight))
        network.head.bias.copy_(torch.from_numpy(bias))


def steady_head(
    features: Floats,
    counts: Floats,
    takes: NDArray[np.str_],
    *,
    decay: float = DECAY,
    steadiness: float = STEADINESS,
) -> tuple[Floats, Floats]:
    """Fit a linear head.

    Args:
        features: Of p photos, (p, F), with a mean of 0 and a standard deviation of 1 each.
        counts: How many posts of each label a photo has, (p, K).
        takes: What photos of the same shot have in common, (p,).
        decay: Weight of the ridge, where the errors of all photos together weigh 1.
        steadiness: Weight of the differences within takes, where the errors weigh 1.

    Returns:
        Weight (K, F) and bias (K,): the labels' logits.
    """
    posts = counts.sum(1)
    weights = (posts / posts.mean())[:, None]  # (p, 1)
    shares = counts / posts.clip(1)[:, None]
    surplus = shares - (shares * weights).mean(0)  # (p, K)
    within = _within(features, takes)
    penalty = steadiness * within.T @ within + decay * len(features) * np.eye(
        features.shape[1], dtype=np.float32
    )
    scatter = (features * weights).T @ features + penalty
    directions = np.linalg.solve(scatter, (features * weights).T @ surplus)[:, 1:]  # (F, K - 1)
    scale, bias = _odds(features @ directions, counts)
    return (scale @ directions.T).astype(np.float32), bias


def _within(features: Floats, takes: NDArray[np.str_]) -> Floats:
    """Each photo's features less the mean of its take's, (p, F)."""
    order = np.argsort(takes, kind="stable")
    starts = np.flatnonzero(np.r_[True, takes[order][1:] != takes[order][:-1]])
    sizes = np.diff(np.r_[starts, len(takes)])
    means = np.add.reduceat(features[order], starts) / sizes[:, None].astype(np.float32)
    within = np.empty_like(features)
    within[order] = features[order] - np.repeat(means, sizes, axis=0)
    return within


def _odds(scores: Floats, counts: Floats) -> tuple[Floats, Floats]:
    """Scale (K, K - 1) and bias (K,) that make logits of scores (p, K - 1)."""
    photos, labels = counts.shape
    rows = np.tile(scores, (labels, 1))
    fitted = LogisticRegression(C=1e6, max_iter=1000)
    fitted.fit(rows, np.repeat(np.arange(labels), photos), sample_weight=counts.T.ravel())
    scale, bias = fitted.coef_, fitted.intercept_
    if labels == 2:
        # One row is the odds of the second label against the first.
        scale, bias = np.vstack([-scale, scale]) / 2, np.array([-bias[0], bias[0]]) / 2
    return scale.astype(np.float32), bias.astype(np.float32)
