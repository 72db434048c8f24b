"""Counts and constants, against the binomial distribution by hand."""

import math

import numpy as np
import pytest

from fashion_hpo.analysis.exact import Constant, Counted


def counted(*values: float) -> Counted:
    return Counted(np.array(values, dtype=float))


@pytest.mark.parametrize(
    ("values", "p"),
    [
        ([1, 2, 3], 1 / 8),
        ([1, 2, 3, 4, 5, 6], 1 / 64),
        ([-1, 2, 3, 4, 5, 6], 7 / 64),
        ([0, 0, 3, 4], 1 / 4),  # what lies on the figure counts for neither side
        ([0, 0], 1.0),
        ([-1, -2], 1.0),
    ],
)
def test_seeds_above_a_figure_are_heads_of_a_coin(values: list[float], p: float) -> None:
    assert counted(*values).p_above(0.0) == pytest.approx(p)


@pytest.mark.parametrize(
    ("count", "ends"),
    [(1, None), (5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (12, (3, 10))],
)
def test_the_interval_of_a_median_lies_between_two_values(
    count: int, ends: tuple[int, int] | None
) -> None:
    mean, low, high = counted(*range(count, 0, -1)).interval()
    assert mean == (count + 1) / 2
    assert (low, high) == ends if ends else math.isnan(low) and math.isnan(high)


def test_the_same_in_three_seeds_says_little() -> None:
    found = counted(13, 13, 13)
    assert found.p_above(12) == 1 / 8
    assert math.isnan(found.interval().low)


def test_enough_seeds_decide_if_their_share_stays() -> None:
    assert counted(1, 2, 3).seeds_to_decide(0.0) == 6
    assert counted(-1, 2, 3, 4, 5, 6).seeds_to_decide(0.0) == 12
    assert counted(-1, 1).seeds_to_decide(0.0) is None


def test_a_constant_is_above_or_it_is_not() -> None:
    found = Constant(np.array([5.0, 5.0]))
    assert (found.p_above(4.9), found.p_above(5.0)) == (0.0, 1.0)
    assert found.interval() == (5.0, 5.0, 5.0)
