import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fashion_hpo.analysis.statistics import (
    LARGEST_SEED_COUNT,
    Estimate,
    seeds_to_decide,
    t_interval,
)


def half_width(deviation: float, count: int) -> float:
    return float(stats.t.ppf(0.975, count - 1)) * deviation / math.sqrt(count)


@pytest.mark.parametrize("values", [[0.1, 0.4], [3.0, 1.0, 2.0], [0.9, 0.91, 0.89, 0.905, 0.9]])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_is_students(values: list[float], confidence: float) -> None:
    found = t_interval(values, confidence)
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
    assert found == pytest.approx((np.mean(values), low, high), rel=1e-9)


def test_three_values_have_the_tables_quantile() -> None:
    mean, low, high = t_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert (
        high - mean == pytest.approx(mean - low) == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    )
    assert half_width(1.0, 5) == pytest.approx(2.7764 / math.sqrt(5), rel=1e-4)


def test_one_value_has_a_mean_and_no_interval() -> None:
    mean, low, high = t_interval([0.9])
    assert mean == 0.9
    assert math.isnan(low)
    assert math.isnan(high)


def test_no_value_has_no_mean() -> None:
    with pytest.raises(ValueError, match="values is empty"):
        t_interval([])


@pytest.mark.parametrize("count", [3, 5])
def test_the_interval_covers_the_truth_as_often_as_it_says(count: int) -> None:
    samples = np.random.default_rng(count).normal(0.9, 0.003, size=(4_000, count))
    intervals = [t_interval(sample.tolist()) for sample in samples]
    covered = np.mean([low <= 0.9 <= high for _, low, high in intervals])
    assert 0.94 <= covered <= 0.96  # 0.95, give or take three standard errors


def test_enough_seeds_make_the_interval_clear_the_margin() -> None:
    effects = np.array([-1.0, 0.5, 2.0])  # mean 0.5, standard deviation 1.5
    count = seeds_to_decide(Estimate(effects), margin=0.0)
    assert count == 38
    assert half_width(1.5, count) < 0.5 <= half_width(1.5, count - 1)
    assert seeds_to_decide(Estimate(effects), margin=1.0) == 38  # as far on the other side
    further = seeds_to_decide(Estimate(effects), margin=0.4)
    assert further is not None
    assert further > 38


def test_a_decided_effect_still_asks_for_one_seed_at_least() -> None:
    assert seeds_to_decide(Estimate(np.array([1.0, 1.1, 0.9])), margin=0.0) == 4


@pytest.mark.parametrize(
    ("effects", "margin"),
    [([-1.0, 0.0, 1.0], 0.0), ([0.4, 0.5, 0.6], 0.5), ([-10.0, 10.1], 0.0), ([1.0, 1.0], 1.0)],
)
def test_an_effect_at_the_margin_is_never_decided(effects: Any, margin: float) -> None:
    assert seeds_to_decide(Estimate(np.array(effects)), margin) is None


def test_a_thousand_seeds_are_the_most() -> None:
    at_the_limit = half_width(1.0, LARGEST_SEED_COUNT) * 1.0001
    values = np.array([-1.0, 1.0]) / math.sqrt(2)  # mean 0, standard deviation 1
    assert seeds_to_decide(Estimate(values + at_the_limit), 0.0) == LARGEST_SEED_COUNT
    assert seeds_to_decide(Estimate(values + at_the_limit * 0.999), 0.0) is None
