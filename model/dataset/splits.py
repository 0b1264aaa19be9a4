"""Which posts are trained on, and which are only looked at: by author, and by what a photo looks like.

An author's posts are in one split, and so are photos that look alike: else a judge is praised for knowing
faces. Authors that share a photo are therefore linked, and those linked to one of them, too. The split is a
hash of the seed and the first name among the linked: the order of rows changes nothing, and a new post moves
nobody but those whom it links.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from model.dataset.examples import SPLITS

Share = Annotated[int, Field(ge=0, le=100)]

_DIGITS = 8
"""Of a hash, in hexadecimal: enough to tell a billionth."""


class Splitting(BaseModel):
    """How posts are divided."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shares: tuple[Share, Share, Share] = (80, 10, 10)
    """Percent of the authors for train, validation and test."""
    seed: int = 0
    distance: Annotated[int, Field(ge=0, le=16)] = 4
    """Photos whose hashes differ in at most so many of 64 bits are taken for the same."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if sum(self.shares) != 100:
            raise ValueError(f"shares {self.shares} add up to {sum(self.shares)} %, not 100")
        return self


def linked(authors: Sequence[str], photos: Sequence[str], alike: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Find the authors that must be in one split.

    Args:
        authors: Who posted, one a post.
        photos: What, one a post.
        alike: Pairs of photos that look alike; those that nobody posted say nothing.

    Returns:
        For each author that is linked to another one, the first, by name, of all that are linked.
    """
    people, person = np.unique(np.asarray(authors, np.str_), return_inverse=True)
    pictures, picture = np.unique(np.asarray(photos, np.str_), return_inverse=True)
    left, right = _indices(pictures, alike)
    begin = np.concatenate([person, left + len(people)])
    end = np.concatenate([picture, right]) + len(people)
    nodes = len(people) + len(pictures)
    edges = coo_array((np.ones(len(begin), bool), (begin, end)), shape=(nodes, nodes))
    component = connected_components(edges, directed=False)[1][: len(people)]
    # People are sorted, so that the first of a component is the first by name.
    _, first, which, size = np.unique(component, return_index=True, return_inverse=True, return_counts=True)
    many = size[which] > 1
    return dict(zip(people[many].tolist(), people[first[which[many]]].tolist(), strict=True))


def _indices(
    pictures: NDArray[np.str_], alike: Sequence[tuple[str, str]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    pairs = np.asarray(alike, np.str_).reshape(-1, 2)
    pairs = pairs[np.isin(pairs, pictures).all(axis=1)]
    return np.searchsorted(pictures, pairs[:, 0]), np.searchsorted(pictures, pairs[:, 1])


def assigned(posts: ibis.Table, splitting: Splitting, links: dict[str, str]) -> ibis.Table:
    """Add the column `split`.

    Args:
        posts: With `author`.
        splitting: The shares and the seed.
        links: See `linked`.
    """
    key: Any = posts.author
    if links:
        firsts = ibis.memtable(pa.table({"_author": list(links), "_key": list(links.values())}))
        posts = posts.left_join(firsts, posts.author == firsts["_author"])
        key = ibis.coalesce(posts["_key"], posts.author)
    draw = (ibis.literal(f"{splitting.seed}:") + key).hexdigest("md5").left(_DIGITS)
    train, validation, test = SPLITS
    held = splitting.shares[2]
    split = ibis.cases(
        (draw < _threshold(held), test),
        (draw < _threshold(held + splitting.shares[1]), validation),
        else_=train,
    )
    return posts.mutate(split=split).drop(*(("_author", "_key") if links else ()))


def _threshold(percent: int) -> str:
    """Below which digits a share of all hashes is; "g" is behind all of them."""
    return "g" if percent == 100 else f"{percent * 16**_DIGITS // 100:0{_DIGITS}x}"
