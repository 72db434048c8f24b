"""Constraints of a search: told to its samplers, and kept by its best."""

import optuna
import pytest

from fashion_hpo.analysis.answers import answer
from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.analysis.statistics.pareto import places
from fashion_hpo.analysis.statistics.predictions import best_trial
from fashion_hpo.design.plan import Plan
from fashion_hpo.reporting.page.tables import trials_table
from fashion_hpo.running.confirmation import finalists
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Attempt, Ledger, Result
from fashion_hpo.stores.opening import all_ledgers, connect
from fashion_hpo.stores.warm_start import warm_start
from tests.plans import search
from tests.states import one_epoch
from tests.stores.test_ledger import opened

BOUNDS = {"ece": 0.1, "parameters": 1000}


def bounded(trials: int = 4, sampler: str = "tpe", **options: object) -> Plan:
    return search(trials=trials, sampler=sampler, constraints=BOUNDS, **options)


def result(value: float, parameters: float, outcome: str = "complete") -> Result:
    summaries = {"parameters": parameters, "ece": 0.05}
    return Result(outcome, value=value, summaries=summaries, history=one_epoch(value))


def claimed(ledger: Ledger) -> Attempt:
    attempt = ledger.claim()
    assert attempt is not None
    return attempt


def scored(store: Store, plan: Plan, *results: Result) -> Ledger:
    ledger = opened(store, plan)
    for each in results:
        ledger.close(claimed(ledger), each)
    return ledger


@pytest.mark.parametrize(("sampler", "trials"), [("tpe", 26), ("gp", 16)])
def test_samplers_see_them_and_go_where_they_are_kept(
    store: Store, sampler: str, trials: int
) -> None:
    """The value rises with dropout, and so does what it costs: the best lies at the bound."""
    ledger = opened(store, bounded(trials, sampler))
    while (attempt := ledger.claim()) is not None:
        dropout = attempt.config.dropout
        ledger.close(attempt, result(dropout, 4000 * dropout))
    ended = optuna.load_study(study_name=ledger.name, storage=connect(store)).trials
    cost = [4 * trial.params["dropout"] - 1 for trial in ended]
    assert [trial.constraints["parameters"] for trial in ended] == pytest.approx(cost)
    assert all(trial.constraints["ece"] == pytest.approx(-0.5) for trial in ended)
    late = [trial.params["dropout"] for trial in ended[-6:]]
    assert sum(dropout <= 0.3 for dropout in late) >= 5, "without them it goes on to 0.5"


def test_a_pruned_trial_is_told_as_far_as_it_was_measured(store: Store) -> None:
    ledger = scored(store, bounded(3), result(0.5, 1500, "pruned"), Result("pruned", value=0.4))
    ledger.close(claimed(ledger), Result("failed"))
    trials = optuna.load_study(study_name=ledger.name, storage=connect(store)).trials
    told = [trial.constraints for trial in trials]
    assert told == [
        {"parameters": 0.5},
        {},
        {},
    ]


def test_one_that_died_between_the_two_is_told_again(store: Store) -> None:
    ledger = opened(store, bounded())
    attempt, found = claimed(ledger), result(0.5, 2000)
    ledger.commit(attempt, found)
    ledger._tell_constraints(attempt, found)
    ledger.tell(attempt, found)
    ledger.tell(attempt, found)
    (trial,) = optuna.load_study(study_name=ledger.name, storage=connect(store)).trials
    assert (trial.state.name, trial.constraints["parameters"]) == ("COMPLETE", 1.0)


def test_the_best_keeps_them(store: Store) -> None:
    ledger = scored(store, bounded(), *map(result, (0.6, 0.9, 0.7, 0.8), (10, 5000, 900, 1001)))
    best = ledger.best()
    assert best is not None
    assert best.attempt.number == 2
    params = [entry.attempt.params for entry in ledger.entries()]
    assert list(finalists(ledger, 9)) == [params[2], params[0]]
    (kept,) = all_ledgers(store)
    assert len(kept.ranked()) == 2
    begun = warm_start(search(warm_start="tiny_search"), kept)
    assert [dict(values) for values in begun.points] == [params[2], params[0]]
    found = of_ledger(ledger)
    assert (found.infeasible, best_trial(found)) == (2, 2)
    assert answer(found)[0].startswith("Best of 4 trials (0 pruned): 70.00%")
    assert answer(found)[-1] == (
        "2 of 4 complete trials are infeasible (calibration error at most 0.1, parameters at most "
        "1,000) and left out of that."
    )
    outcomes = [outcome for row in trials_table(found).rows for outcome in row]
    assert outcomes.count("complete, infeasible") == 2


def test_where_none_keeps_them_one_sentence_says_so(store: Store) -> None:
    ledger = scored(store, bounded(2), result(0.6, 2000), result(0.7, 3000))
    assert (ledger.best(), finalists(ledger, 3)) == (None, ())
    found = of_ledger(ledger)
    assert best_trial(found) is None
    assert answer(found)[0] == (
        "None of 2 complete trials is feasible (calibration error at most 0.1, parameters at most "
        "1,000), so there is no best one."
    )


def test_the_front_is_of_those_that_keep_them(store: Store) -> None:
    plan = bounded(3, pruner="none", objectives=("val_accuracy", "parameters"))
    ledger = scored(store, plan, *map(result, (0.6, 0.9, 0.5), (10, 5000, 900)))
    found = of_ledger(ledger)
    assert list(places(found).values()) == ["front", "dominated", "infeasible"]
    assert answer(found)[0].startswith(
        "Validation accuracy against parameters: of 2 feasible trials, 1 trial is on the Pareto"
    )


def test_an_infeasible_trial_is_no_better_one(store: Store) -> None:
    plan = bounded(9, pruner="none", plateau=2)
    ledger = scored(store, plan, result(0.6, 10), result(0.8, 5000), result(0.5, 10))
    assert ledger.has_stalled()
