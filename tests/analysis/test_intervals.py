import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fashion_hpo.analysis.intervals import (
    LARGEST_SEED_COUNT,
    Estimate,
    ImageNoise,
    Interval,
    holm,
    image_noise,
    t_interval,
    wilson,
)
from fashion_hpo.design.measures import MEASURES


def half_width(deviation: float, count: int) -> float:
    return float(stats.t.ppf(0.975, count - 1)) * deviation / math.sqrt(count)


@pytest.mark.parametrize("values", [[0.1, 0.4], [3.0, 1.0, 2.0], [0.9, 0.91, 0.89, 0.905, 0.9]])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_the_interval_is_students(values: list[float], confidence: float) -> None:
    found = t_interval(values, confidence)
    low, high = stats.ttest_1samp(values, 0.0).confidence_interval(confidence)
    assert found == pytest.approx((np.mean(values), low, high), rel=1e-9)


@pytest.mark.parametrize(("hits", "count"), [(0, 5), (5, 5), (1, 7), (4675, 5000), (2500, 5000)])
def test_the_interval_of_a_share_is_scipys(hits: int, count: int) -> None:
    expected = stats.binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits / count, count) == pytest.approx((expected.low, expected.high), rel=1e-14)


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
    count = Estimate(effects).seeds_to_decide(margin=0.0)
    assert count == 38
    assert half_width(1.5, count) < 0.5 <= half_width(1.5, count - 1)
    assert Estimate(effects).seeds_to_decide(margin=1.0) == 38  # as far on the other side
    further = Estimate(effects).seeds_to_decide(margin=0.4)
    assert further is not None
    assert further > 38


def test_a_decided_effect_still_asks_for_one_seed_at_least() -> None:
    assert Estimate(np.array([1.0, 1.1, 0.9])).seeds_to_decide(margin=0.0) == 4


@pytest.mark.parametrize(
    ("effects", "margin"),
    [([-1.0, 0.0, 1.0], 0.0), ([0.4, 0.5, 0.6], 0.5), ([-10.0, 10.1], 0.0), ([1.0, 1.0], 1.0)],
)
def test_an_effect_at_the_margin_is_never_decided(effects: Any, margin: float) -> None:
    assert Estimate(np.array(effects)).seeds_to_decide(margin) is None


def test_a_thousand_seeds_are_the_most() -> None:
    at_the_limit = half_width(1.0, LARGEST_SEED_COUNT) * 1.0001
    values = np.array([-1.0, 1.0]) / math.sqrt(2)  # mean 0, standard deviation 1
    assert Estimate(values + at_the_limit).seeds_to_decide(0.0) == LARGEST_SEED_COUNT
    assert Estimate(values + at_the_limit * 0.999).seeds_to_decide(0.0) is None


@pytest.mark.parametrize("widening", [1.0, 2.0])
def test_widening_is_of_the_variance(widening: float) -> None:
    mean, low, high = Estimate(np.array([1.0, 2.0, 3.0]), widening).interval()
    assert mean == 2.0
    assert high - low == pytest.approx(2 * math.sqrt(widening) * half_width(1.0, 3))


def crossed(
    seeds: int, images: int, of_images: float, draw: np.random.Generator
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Values of (seeds, images) with a part of the seeds' (1), the images' and the rest (1)."""
    shape = (seeds, images)
    parts = draw.normal(size=(seeds, 1)), of_images * draw.normal(size=(1, images))
    return np.asarray(parts[0] + parts[1] + draw.normal(size=shape)).reshape(seeds, images)


def test_image_noise_is_what_another_sample_of_images_would_change() -> None:
    draw = np.random.default_rng(0)
    found = [image_noise(crossed(3, 50, 2.0, draw)).variance for _ in range(400)]
    assert np.mean(found) == pytest.approx(2.0**2 / 50, rel=0.05)
    assert image_noise(crossed(3, 50, 2.0, draw)).images == 50


def test_image_noise_is_what_resampling_the_images_gives() -> None:
    draw = np.random.default_rng(1)
    values = crossed(10, 400, 2.0, draw)
    means = [values[:, draw.integers(0, 400, 400)].mean() for _ in range(4_000)]
    # the seeds' own rest, a tenth of it, is in the resampled means and not in ours
    expected = np.var(means) - 1 / (10 * 400)
    assert image_noise(values).variance == pytest.approx(expected, rel=0.1)


def test_images_that_are_all_alike_add_nothing() -> None:
    draw = np.random.default_rng(2)
    alike = [image_noise(crossed(5, 50, 0.0, draw)).variance for _ in range(400)]
    assert min(alike) == 0.0
    assert np.mean(alike) < 0.1 / 50


def test_seeds_and_images_add_up_with_satterthwaites_freedom() -> None:
    values = np.array([1.0, 2.0, 3.0])
    found = Estimate(values, images=ImageNoise(0.5, 101)).interval()
    seeds, images = 1 / 3, 0.5
    freedom = (seeds + images) ** 2 / (seeds**2 / 2 + images**2 / 100)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(seeds + images)
    assert found.high - 2 == pytest.approx(max(half, half_width(1.0, 3)))
    larger = Estimate(values, images=ImageNoise(5.0, 101)).interval()
    assert larger.high - 2 > half_width(1.0, 3) * 1.05


def test_images_never_make_an_interval_narrower() -> None:
    values = np.array([1.0, 2.0, 3.0])
    alone = Estimate(values).interval()
    assert Estimate(values, images=ImageNoise(0.3, 5000)).interval().high >= alone.high
    assert Estimate(values, images=ImageNoise(0.0, 5000)).interval() == pytest.approx(alone)


def test_more_seeds_do_not_lower_the_images_noise() -> None:
    values = np.array([0.5, 1.0, 1.5])
    assert Estimate(values).seeds_to_decide(0.0) == 4
    assert Estimate(values, images=ImageNoise(0.2, 5000)).seeds_to_decide(0.0) is not None
    assert Estimate(values, images=ImageNoise(0.3, 5000)).seeds_to_decide(0.0) is None


def test_the_p_value_is_students() -> None:
    values = np.array([0.1, 0.4, 0.2])
    expected = stats.ttest_1samp(values, 0.05, alternative="greater").pvalue
    assert Estimate(values).p_above(0.05) == pytest.approx(expected)
    assert Estimate(np.array([0.1, 0.1])).p_above(0.0) == 0.0
    assert Estimate(np.array([0.1, 0.1])).p_above(0.2) == 1.0
    assert Estimate(np.array([0.1, 0.1])).p_above(0.1) == 0.5


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []


@pytest.mark.parametrize(
    ("measure", "low", "high"),
    [("val_loss", 0.0, 1.2), ("value", 0.0, 1.0), ("generalization_gap", -0.2, 1.2)],
)
def test_an_interval_ends_where_its_measure_does(measure: str, low: float, high: float) -> None:
    assert Interval(0.5, -0.2, 1.2).within(MEASURES[measure].bounds) == (0.5, low, high)
    without = Interval(0.5, math.nan, math.nan).within(MEASURES[measure].bounds)
    assert math.isnan(without.low)
    assert math.isnan(without.high)
