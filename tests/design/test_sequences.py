"""Searches whose points are drawn beforehand: the same whatever the workers, spread, extendable."""

from itertools import pairwise

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.design.plan import Plan, make_plan, points
from fashion_hpo.design.sequences import random_values, sobol_values
from fashion_hpo.design.spec import Budget, Search, StudySpec
from tests.plans import TINY, search

DRAWN = ("quasi_random", "random")
SQUARE = {"dropout": FloatDistribution(0, 0.5), "flip": FloatDistribution(0, 1)}


def of_choices(sampler: str, trials: int) -> Plan:
    """A search among six points."""
    space = {
        "batch_size": CategoricalDistribution([10, 25, 50]),
        "optimizer": CategoricalDistribution(["adam", "sgd"]),
    }
    wanted = Search(space=space, trials=trials, sampler=sampler)  # type: ignore[arg-type]
    return make_plan("choices", "Which?", StudySpec(
        base=TINY, search=wanted, budgets={"quick": Budget()}), "quick")  # fmt: skip


@pytest.mark.parametrize("sampler", DRAWN)
def test_more_trials_keep_the_first_points(sampler: str) -> None:
    few, many = (points(search(trials=count, sampler=sampler)) for count in (5, 21))
    assert (len(few), len(many)) == (5, 21)
    assert many[:5] == few
    assert len({point.id for point in many}) == 21


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_that_learn_have_no_points_beforehand(sampler: str) -> None:
    assert points(search(sampler=sampler)) == []


def test_the_two_sequences_differ() -> None:
    quasi, even = (points(search(sampler=sampler)) for sampler in DRAWN)
    assert {point.id for point in quasi}.isdisjoint(point.id for point in even)


@pytest.mark.parametrize("draw", [sobol_values, random_values])
def test_values_depend_on_the_seed_and_not_on_the_order_of_the_fields(draw: object) -> None:
    assert callable(draw)
    turned = dict(reversed(SQUARE.items()))
    assert draw(SQUARE, 8, seed=1) == draw(turned, 8, seed=1)
    assert draw(SQUARE, 8, seed=1) != draw(SQUARE, 8, seed=2)


def test_sobol_points_leave_smaller_gaps_than_random_ones() -> None:
    def largest_gap(values: list[dict[str, float]]) -> float:
        placed = sorted(value["flip"] for value in values)
        return max(after - before for before, after in pairwise([0, *placed, 1]))

    for seed in range(5):
        quasi = largest_gap(sobol_values(SQUARE, 32, seed))
        assert quasi < 2 / 32  # one point in each of 32 strata
        assert quasi < largest_gap(random_values(SQUARE, 32, seed))


@pytest.mark.parametrize("sampler", DRAWN)
def test_no_point_is_drawn_twice_where_choices_alone_are_searched(sampler: str) -> None:
    assert len({point.id for point in points(of_choices(sampler, 4))}) == 4
    every = points(of_choices(sampler, 40))
    assert len({point.id for point in every}) == len(every) == 6
