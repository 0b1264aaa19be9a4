"""How a drawn network likes photos: audience times appeal times luck."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]

CORRELATION = 0.45
"""Of appeal with the logarithm of likes, for a given audience; then no judge is right about over 65 %."""
FIRST_DAY = datetime(2014, 1, 1, tzinfo=UTC)
DAYS = 600
_LIKING = 0.12  # likes that a photo of middling appeal gets from each follower
_TAG = 0.05  # what each tag adds to the audience
_PULL = 0.6  # a photo that is one standard deviation more appealing gets e ** 0.6 times the likes
_GROUP = 100


@dataclass(frozen=True)
class Posts:
    """n posts and what became of them, (n,) each."""

    photo: Counts
    """Index of the photo each shows."""
    followers: Counts
    tags: Counts
    likes: Counts
    seconds: Counts
    """Since `FIRST_DAY`."""


def standardised(appeal: Numbers) -> Numbers:
    """Appeal with a mean of 0 and a standard deviation of 1."""
    scores: Numbers = (appeal - appeal.mean()) / appeal.std()
    return scores


def post(appeal: Numbers, authors: Counts, times: int, correlation: float, rng: np.random.Generator) -> Posts:
    """Let authors post their photos, and others like them.

    Args:
        appeal: Of each photo, (p,).
        authors: Who took it, (p,), numbered from 0.
        times: How often each photo is posted.
        correlation: Of appeal with the logarithm of likes, where the audience is the same; 0-1.
        rng: Draws the lots.
    """
    photo = np.repeat(np.arange(len(appeal)), times)
    posts = len(photo)
    fame = rng.normal(np.log(900), 1.1, authors.max() + 1)
    followers = np.exp(fame[authors[photo]] + rng.normal(0, 0.3, posts)).astype(np.int64) + 1
    tags = rng.poisson(4, posts)
    luck = _PULL * sqrt(1 / correlation**2 - 1)
    reach = _LIKING * followers * (1 + _TAG * tags)
    expected = reach * np.exp(_PULL * standardised(appeal)[photo] + rng.normal(0, luck, posts))
    seconds = rng.integers(0, DAYS * 86400, posts)
    return Posts(photo, followers, tags, rng.poisson(expected.clip(0, 1e9)), seconds)


def ceiling(appeal: Numbers, posts: Posts) -> float:
    """How often the best judge there can be is right about these posts: one that knows the appeal itself.

    Posts are called good as the article does, by more likes than half of a hundred posts with an audience of
    about the same size, and the best judge calls good what appeals more than the best threshold.
    """
    order = np.argsort(posts.followers * (20 + posts.tags), kind="stable")
    group = min(_GROUP, len(order))
    order = order[: len(order) // group * group].reshape(-1, group)
    rank = np.argsort(np.argsort(posts.likes[order], axis=1, kind="stable"), axis=1)
    good = (rank >= group // 2).ravel()
    falling = np.argsort(-appeal[posts.photo[order.ravel()]], kind="stable")
    # With the threshold after k posts, right are the good among the first k and the bad among the rest.
    right = np.cumsum(np.where(good[falling], 1, -1)) + (~good).sum()
    return float(right.max() / len(good))
