"""The exact best of n, against all orders counted one by one."""

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.budget_bootstrap import best_of, of_search, sentence
from tests.analysis.made import records
from tests.plans import search

VALUES = [0.3, 0.9, 0.5, 0.5, 0.7, 0.1]


def searched(
    values: list[float | None], outcomes: list[str] | None = None, *, sampler: str = "random"
) -> Records:
    names = outcomes or ["complete"] * len(values)
    rows: list[dict[str, Any]] = [
        {"trial": number, "outcome": outcome, "value": value, "dropout": number / 100}
        for number, (outcome, value) in enumerate(zip(names, values, strict=True))
    ]
    return records(search(sampler=sampler, pruner="none"), rows)


@pytest.mark.parametrize("n", range(1, 7))
def test_it_is_what_counting_every_choice_gives(n: int) -> None:
    found = best_of(VALUES)
    best = sorted(max(chosen) for chosen in combinations(VALUES, n))
    assert found.expected[n - 1] == pytest.approx(np.mean(best))
    for ends, share in ((found.low, 0.05), (found.high, 0.95)):
        at_most = [value for value in best if np.mean(np.array(best) <= value) >= share - 1e-9]
        assert ends[n - 1] == at_most[0]


def test_the_curve_rises_to_the_best_of_all() -> None:
    found = best_of(np.random.default_rng(0).random(200).tolist())
    assert (np.diff(found.expected) >= 0).all()
    assert (np.diff(found.low) >= 0).all()
    assert (found.low <= found.high).all()
    assert found.low[-1] == found.expected[-1] == found.high[-1]


def test_no_value_is_refused() -> None:
    with pytest.raises(ValueError, match="values is empty"):
        best_of([])


def test_a_pruned_trial_cannot_win_and_one_without_a_value_is_the_worst() -> None:
    outcomes = ["complete", "pruned", "complete", "diverged", "pruned"]
    found = of_search(searched([0.6, 0.99, 0.8, None, 0.4], outcomes))
    assert found is not None
    assert found.expected[-1] == pytest.approx(0.8)
    assert found.expected[0] == pytest.approx(np.mean([0.6, 0.8, 0.8, 0.4, 0.4]))


@pytest.mark.parametrize("values", [[], [0.5]])
def test_too_few_trials_tell_nothing(values: list[float | None]) -> None:
    assert of_search(searched(values)) is None
    assert sentence(searched(values)) is None


def test_the_sentence_says_whether_half_was_enough() -> None:
    steep, flat = searched([0.90, 0.91, 0.92, 0.95]), searched([0.9500, 0.9501, 0.9502, 0.9503])
    assert sentence(steep) == (
        "Half the trials (2 of 4) would not have been enough: their best search score is expected "
        "1.67 points lower (93.33%, in 90 % of orders 91.00% to 95.00%), and within 0.1 points "
        "from 4 trials on."
    )
    told = sentence(flat)
    assert told is not None
    assert told.startswith("Half the trials (2 of 4) would have been enough: ")


def test_a_sampler_that_learns_makes_it_a_guide() -> None:
    told = sentence(searched([0.9 + 0.001 * i for i in range(11)], sampler="tpe"))
    assert told is not None
    assert told.endswith("; a guide only, as later trials depended on earlier ones.")
    started = sentence(searched([0.9, 0.91, 0.92], sampler="tpe"))
    assert started is not None
    assert "a guide only" not in started, "start-up trials are random ones"
    random = searched([0.9, 0.91, 0.92])
    pruning = replace(random, plan=search(sampler="random", pruner="hyperband"))
    told = sentence(pruning)
    assert told is not None
    assert "a guide only" in told, "which trials are pruned depends on those before them"
