"""The Pareto front: what dominates what, by hand and against Optuna; and what is said of it."""

import dataclasses

import numpy as np
import optuna
import pandas as pd
import pytest

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.pareto import front, objective_values, places
from fashion_hpo.design.plan import Plan
from tests.plans import TINY, search

COSTS = (100.0, 300.0, 300.0, 900.0, 50.0)
VALUES = (0.80, 0.85, 0.84, 0.85, 0.80)
BOTH = ("val_accuracy", "parameters")


def plan() -> Plan:
    return search(pruner="none", objectives=BOTH)


def records(values: tuple[float | None, ...] = VALUES, outcome: str = "complete") -> Records:
    rows = [
        {**TINY.to_dict(), "trial": n, "uid": f"u-{n}", "outcome": outcome, "value": value,
         "parameters": COSTS[n]}
        for n, value in enumerate(values)
    ]  # fmt: skip
    return Records(plan(), "l/standard/r1", "u", "d", pd.DataFrame(rows), pd.DataFrame(), 0)


def test_the_front_is_what_nothing_beats_in_both() -> None:
    found = front(objective_values(records()))
    assert list(found.index) == ["u-1", "u-4"], "best first; u-3 is as good as u-1, and larger"
    assert places(records()) == {
        "u-0": "dominated", "u-1": "front", "u-2": "dominated", "u-3": "dominated", "u-4": "front"
    }  # fmt: skip


def test_equal_trials_are_all_on_the_front() -> None:
    twins = pd.DataFrame({"val_accuracy": [0.9, 0.9], "parameters": [5.0, 5.0]})
    assert len(front(twins)) == 2


@pytest.mark.parametrize("seed", range(3))
def test_the_front_is_optunas(seed: int) -> None:
    drawn = np.random.default_rng(seed).integers(0, 6, (40, 2)).astype(float)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for row in drawn.tolist():
        study.add_trial(optuna.trial.create_trial(values=row))
    theirs = sorted(trial.number for trial in study.best_trials)
    ours = front(pd.DataFrame(drawn, columns=list(BOTH)))
    assert sorted(int(str(index)) for index in ours.index) == theirs


def test_trials_without_an_objective_have_no_place() -> None:
    assert places(records((0.8, None, 0.7, float("nan"), 0.6))).keys() == {"u-0", "u-2", "u-4"}
    without = dataclasses.replace(records(), trials=records().trials.drop(columns="parameters"))
    assert places(without) == {}
    assert places(records(outcome="diverged")) == {}


def test_the_answer_tells_the_front_and_who_is_best() -> None:
    first, *trials, last = answer(records())
    assert first == (
        "Validation accuracy against parameters: of 5 complete trials, 2 trials are on the Pareto "
        "front."
    )
    assert [each.split(":")[0] for each in trials] == [
        "85.00%, 300 parameters",
        "80.00%, 50 parameters",
    ]
    assert "±1.0 points" in last
    assert last.endswith("is trial 1, by validation accuracy alone.")
