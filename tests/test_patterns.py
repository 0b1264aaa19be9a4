from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from model.patterns import patterns


def test_the_same_number_gives_the_same_bytes_on_every_machine() -> None:
    digest = sha256(patterns(range(4), 224).tobytes()).hexdigest()
    assert digest == "3c34b526c5912ab9a4f5e4fd2d8df946f81bed2d9c21155b6ac1f7ae3f2172cb"


@pytest.mark.parametrize("side", [16, 224, 299])
def test_a_pattern_is_a_square_of_any_side(side: int) -> None:
    squares = patterns([7, 8], side)
    assert squares.shape == (2, side, side, 3)
    assert squares.dtype == np.uint8


def test_a_pattern_does_not_depend_on_those_drawn_with_it() -> None:
    assert (patterns([5], 32)[0] == patterns([3, 5, 9], 32)[1]).all()


def test_patterns_differ_in_brightness_and_colour() -> None:
    means = patterns(range(32), 64).mean((1, 2))
    assert (means.std(0) > 10).all()
    assert len(np.unique(means.round(), axis=0)) == 32


def test_a_large_number_is_as_good_as_a_small_one() -> None:
    assert patterns([2**63], 32).std() > 10
