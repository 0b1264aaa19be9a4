"""What a photo looks like, in 64 bits that change little when it is saved anew, scaled or filtered."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from model.pixels import squish

Hashes = NDArray[np.uint64]

SIDE = 32
BITS = 64
WAVES = 8
"""So many of the slowest waves, across and down, are looked at."""

_GREY = np.array([0.299, 0.587, 0.114])
# The cosine transform of a row: WAVES x SIDE.
_COSINES = np.cos(np.pi * np.arange(WAVES)[:, None] * (np.arange(SIDE) + 0.5) / SIDE)
_POWERS = np.uint64(1) << np.arange(BITS, dtype=np.uint64)


def perceptual_hash(photo: bytes) -> int:
    """Say of each of the 64 slowest waves in a photo whether it is stronger than most.

    Args:
        photo: An encoded file, see `model.pixels.squish`.

    Returns:
        64 bits; photos that look alike differ in few.

    Raises:
        PhotoRejected: It is no photo that can be read.
    """
    grey = squish(photo, side=SIDE) @ _GREY  # (SIDE, SIDE)
    waves = (_COSINES @ grey @ _COSINES.T).round(3).ravel()  # rounded, for a flat photo has none at all
    stronger = waves > np.median(waves[1:])
    return int(_POWERS[stronger].sum())


def near(hashes: Hashes, distance: int) -> NDArray[np.int64]:
    """Find the pairs of photos that look alike, without comparing all with all.

    Cut into `distance + 2` pieces, two hashes that differ in at most `distance` bits have two pieces in
    common. So it is enough to compare those that agree in some two pieces.

    Args:
        hashes: One a photo, shape (n,).
        distance: In how many of the 64 bits two may differ.

    Returns:
        Pairs of indices, shape (m, 2); of photos with the very same hash, each is paired with the first only.
    """
    distinct, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    same = np.stack([first[which], np.arange(len(hashes))], axis=1)
    pairs = [same[same[:, 0] != same[:, 1]]]
    cuts = np.linspace(0, BITS, distance + 3).astype(int)
    pieces = [int(_POWERS[begin:end].sum()) for begin, end in pairwise(cuts.tolist())]
    for one, other in combinations(pieces, 2) if distance else ():
        found = _alike(distinct, np.uint64(one | other), distance)
        pairs.append(first[found])
    return np.unique(np.concatenate(pairs), axis=0)


def _alike(distinct: Hashes, mask: np.uint64, distance: int) -> NDArray[np.int64]:
    """Compare those that agree under a mask: sorted, they are neighbours."""
    order = np.argsort(distinct & mask, kind="stable")
    sorted_hashes = distinct[order]
    keys = sorted_hashes & mask
    pairs = [np.empty((0, 2), np.int64)]
    left = np.arange(len(distinct) - 1)
    step = 1
    while len(left := left[left + step < len(distinct)]):
        left = left[keys[left] == keys[left + step]]
        close = np.bitwise_count(sorted_hashes[left] ^ sorted_hashes[left + step]) <= distance
        pairs.append(np.stack([order[left[close]], order[left[close] + step]], axis=1))
        step += 1
    return np.concatenate(pairs)
