"""The gate's bound: by hand, by another formula, and by how often it is wrong."""

import math

import numpy as np
import pytest
from scipy.stats import ttest_rel

from fashion_hpo.registering.gate import MARGIN, Comparison, paired


def comparison(lower: float) -> Comparison:
    return Comparison("3", "models:/m-1", 0.001, lower, 5_000, 0)


def test_the_bound_is_that_of_a_paired_t_test() -> None:
    chance = np.random.default_rng(0)
    ours, theirs = chance.random(5_000) < 0.93, chance.random(5_000) < 0.92
    difference, lower = paired(ours, theirs)
    found = ttest_rel(ours.astype(float), theirs.astype(float), alternative="greater")
    assert difference == pytest.approx(ours.mean() - theirs.mean())
    assert lower == pytest.approx(found.confidence_interval(0.95).low)
    assert found.df == 4_999


def test_by_hand() -> None:
    """d = (1, -1, 0, 0), its mean 0 and deviation √(2/3); t(0.95; 3) = 2.3534."""
    ours, theirs = np.array([True, False, True, False]), np.array([False, True, True, False])
    assert paired(ours, theirs) == (0.0, pytest.approx(-2.3534 * math.sqrt(2 / 3) / 2, rel=1e-4))


def test_a_model_against_itself_passes() -> None:
    hits = np.arange(100) % 10 > 0
    assert paired(hits, hits) == (0.0, 0.0)
    assert comparison(0.0).passed


def test_the_margin_itself_does_not_pass() -> None:
    assert not comparison(-MARGIN).passed
    assert comparison(-MARGIN + 1e-9).passed


def test_a_challenger_worse_by_the_margin_passes_in_one_of_twenty() -> None:
    chance, passed, tries = np.random.default_rng(1), 0, 2_000
    for _ in range(tries):
        theirs = chance.random(5_000) < 0.92
        # Of their hits 2 % are lost; of the others as many are gained as leaves 0.3 points less.
        lost = chance.random(5_000) < 0.02
        gained = chance.random(5_000) < (0.92 * 0.02 - MARGIN) / 0.08
        ours = np.where(theirs, ~lost, gained)
        passed += paired(ours, theirs)[1] > -MARGIN
    assert 0.035 < passed / tries < 0.065


def test_its_words_have_the_formulas_parts() -> None:
    told = str(comparison(-0.0123))
    assert told == (
        "on the 5,000 gate images it is +0.10 points against champion version 3, lower one-sided "
        "95 % bound -1.23 (paired by image, t with 4,999 degrees of freedom; the gate's opening "
        "number 1), where more than -0.3 is needed"
    )


def test_hits_of_different_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"hits are of 2 and 3 images; give hits of the same"):
        paired(np.ones(2, bool), np.ones(3, bool))
