"""Every sampler hands out its trials, also to several workers and after a start anew."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any, get_args

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial

from fashion_hpo.design.plan import Plan, check_drawable, make_plan, sampler_seed
from fashion_hpo.design.search import STARTUP_TRIALS, Sampler, Search
from fashion_hpo.design.spec import StudySpec
from fashion_hpo.stores.attempts import REFUSED
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import (
    MOST_REFUSED,
    NARROWED,
    Attempt,
    Ledger,
    NoConfigError,
    Result,
)
from fashion_hpo.stores.opening import all_ledgers, connect
from fashion_hpo.stores.samplers import make_sampler
from tests.design.test_sequences import of_choices
from tests.plans import BUDGETS, TINY, search
from tests.stores.test_ledger import claim_all, finish, opened

SAMPLERS = get_args(Sampler)


def run(ledger: Ledger, count: int) -> list[Attempt]:
    """So many trials of one worker, each better the less dropout it has."""
    done = []
    for _ in range(count):
        attempt = ledger.claim()
        assert attempt is not None
        ledger.close(attempt, Result("complete", value=1 - attempt.config.dropout))
        done.append(attempt)
    return done


def point_of(attempt: Attempt) -> str:
    return attempt.point


def params(attempts: list[Attempt]) -> list[str]:
    return [str(sorted(attempt.params.items())) for attempt in attempts]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_has_as_many_trials_as_asked_for(store: Store, sampler: str) -> None:
    plan = search(trials=13, sampler=sampler)  # beyond the random start of those that learn
    first, second = opened(store, plan), opened(store, plan, worker=1)
    done = run(first, 6) + run(second, 6) + run(first, 1)
    assert first.claim() is second.claim() is None
    assert first.remaining() == 0
    assert len(set(params(done))) == 13


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_search_begun_again_goes_on_as_if_it_had_not_stopped(store: Store, sampler: str) -> None:
    plan = search(trials=12, sampler=sampler)
    undisturbed = run(opened(store, plan), 12)
    done: list[Attempt] = []
    for part in range(2):
        ledger = opened(store, plan, revise=part == 0)
        done += run(ledger, 5)
        died = ledger.claim()
        if died is not None:
            ledger.close(died, Result("died"))
            ledger.requeue(died)
    done += run(opened(store, plan), ledger.remaining())
    if plan.search is not None and plan.search.is_drawn:  # a point tried again goes to the end
        done, undisturbed = sorted(done, key=point_of), sorted(undisturbed, key=point_of)
    assert params(done) == params(undisturbed)


@pytest.mark.parametrize("sampler", ["quasi_random", "random"])
def test_a_drawn_search_has_the_same_points_whatever_the_workers(
    store: Store, sampler: str
) -> None:
    plan = search(trials=7, sampler=sampler)
    alone = claim_all(opened(store, plan))
    workers = [opened(store, plan, worker=number, revise=number == 0) for number in range(3)]
    together = [workers[number % 3].claim() for number in range(7)]
    assert [a.point for a in together if a] == [a.point for a in alone]


def test_a_search_among_few_choices_ends_when_all_were_tried(store: Store) -> None:
    ledger = opened(store, of_choices("quasi_random", 40))
    assert ledger.remaining() == 6
    for attempt in claim_all(ledger):
        finish(ledger, attempt)
    assert (ledger.remaining(), len(ledger.entries())) == (0, 6)


def test_a_random_search_of_the_version_before_gets_the_trials_it_lacks(store: Store) -> None:
    """That one asked Optuna's sampler; its points are others."""
    plan = search(trials=5, sampler="random")
    name = opened(store, plan).name
    study = optuna.load_study(study_name=name, storage=connect(store))
    assert plan.search is not None
    for rate in (0.011, 0.012):
        values = {"dropout": 0.1, "learning_rate": rate, "batch_size": 25}
        config = plan.base.replace(**values).to_dict()
        study.add_trial(
            optuna.trial.create_trial(
                params=values,
                distributions=dict(plan.search.space),
                value=0.5,
                user_attrs={"config": config, "seed_index": 0, "attempt": 1, "point": str(rate),
                            "result": vars(Result("complete", value=0.5))},
            )
        )  # fmt: skip
    ledger = opened(store, plan)
    assert ledger.remaining() == 3
    for attempt in claim_all(ledger):
        finish(ledger, attempt)
    assert (ledger.remaining(), len(ledger.entries())) == (0, 5)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_several_objectives_are_told_and_the_first_decides(store: Store, sampler: str) -> None:
    plan = search(trials=12, sampler=sampler, pruner="none", objectives=("val_accuracy", "flops"))
    ledger = opened(store, plan)
    while (attempt := ledger.claim()) is not None:
        cost = float(attempt.config.batch_size)
        result = Result("complete", value=attempt.config.dropout, summaries={"flops": cost})
        ledger.close(attempt, result)
    study = optuna.load_study(study_name=ledger.name, storage=connect(store))
    assert [each.name for each in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in study.trials] == [
        [entry.attempt.config.dropout, entry.attempt.config.batch_size]
        for entry in ledger.entries()
    ]
    best = opened(store, plan).best()
    assert best is not None
    assert best.attempt.config.dropout == max(
        entry.attempt.config.dropout for entry in ledger.entries()
    )


@pytest.mark.parametrize("sampler", ["tpe", "quasi_random"])
def test_the_base_configs_own_values_are_tried_first_and_once(store: Store, sampler: str) -> None:
    plan = search(trials=3, sampler=sampler, defaults=True)
    done = run(opened(store, plan), 2) + run(opened(store, plan), 1)
    own = {name: getattr(TINY, name) for name in ("dropout", "learning_rate", "batch_size")}
    assert [attempt.params == own for attempt in done] == [True, False, False]
    assert opened(store, plan).claim() is None


def test_a_search_stops_where_nothing_better_comes(store: Store) -> None:
    plan = search(trials=50, sampler="random", plateau=3)
    ledger = opened(store, plan)
    for value in (0.5, 0.7, 0.6, 0.7):  # as good is not better
        attempt = ledger.claim()
        assert attempt is not None
        ledger.close(attempt, Result("complete", value=value))
    finish(ledger, run_one(ledger), "failed")
    assert ledger.remaining() == 45, "a trial that failed says nothing"
    ledger.close(run_one(ledger), Result("complete", value=0.1))
    assert (ledger.remaining(), ledger.claim()) == (0, None)
    (kept,) = all_ledgers(store)
    assert kept.remaining() == 0
    patient = opened(store, search(trials=50, sampler="random", plateau=9))
    assert patient.remaining() == 44, "a longer plateau lets it go on"


def run_one(ledger: Ledger) -> Attempt:
    attempt = ledger.claim()
    assert attempt is not None
    return attempt


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_options_at_their_defaults_leave_no_trace_in_a_ledger(store: Store, sampler: str) -> None:
    """So that ledgers of earlier versions open, and these in them."""
    kept = opened(store, search(sampler=sampler)).attributes
    assert set(kept["extent"]) == {"scientific", "seeds", "nuisance_points", "trials"}
    assert set(json.loads(kept["identity"])) == {
        "kind", "base", "scientific", "ranges", "sampler", "pruner", "objective", "study_seed"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["tpe", "gp"])
@pytest.mark.parametrize("ended", [STARTUP_TRIALS - 1, STARTUP_TRIALS])
def test_a_sampler_uses_results_only_once_it_has_enough(name: Sampler, ended: int) -> None:
    """Whether a point depends on what came before: the same trials, their values turned round."""
    space: dict[str, BaseDistribution] = {"dropout": FloatDistribution(0.0, 1.0)}
    proposed = []
    for sign in (1, -1):
        study = optuna.create_study(direction="maximize", sampler=make_sampler(name, seed=1))
        for number in range(ended):
            place = (number + 0.5) / ended
            study.add_trial(
                create_trial(params={"dropout": place}, distributions=space, value=sign * place**2)
            )
        proposed.append(study.ask(space).params["dropout"])
    assert (proposed[0] == proposed[1]) == (ended < STARTUP_TRIALS)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_search_uses_results_after_its_own_start_up_trials(store: Store, sampler: str) -> None:
    """Its fifth point depends on the values before; those of a search by default do not."""
    fifth = {}
    for startup in (None, 4):
        for sign in (1, -1):
            plan = search(trials=6, sampler=sampler, pruner="none", startup_trials=startup)
            ledger = opened(store, plan, revise=bool(fifth))
            for _ in range(4):
                attempt = run_one(ledger)
                value = 0.5 + sign * attempt.config.dropout
                ledger.close(attempt, Result("complete", value=value))
            fifth[startup, sign] = run_one(ledger).params
            (kept,) = [each for each in all_ledgers(store) if each.name == ledger.name]
            assert kept.plan.search is not None
            assert kept.plan.search.startup == (startup or STARTUP_TRIALS)
            assert kept.plan.identity() == plan.identity()
    assert fifth[None, 1] == fifth[None, -1]
    assert fifth[4, 1] != fifth[4, -1]


def conditional(sampler: str = "tpe", trials: int = 6, **changes: Any) -> Plan:
    """A search half of whose draws make no config: a cosine schedule falls to 1e-5."""
    space = {
        "schedule": CategoricalDistribution(("constant", "cosine")),
        "learning_rate": FloatDistribution(1e-7, 1e-5, log=True),
        **changes,
    }
    values: Any = {"space": space, "trials": trials, "sampler": sampler, "pruner": "none"}
    spec = StudySpec(
        base=TINY.replace(schedule="constant"), search=Search(**values), budgets=BUDGETS
    )
    return make_plan("conditional", "Which go together?", spec, "standard")


def refused(ledger: Ledger) -> list[str]:
    return [e.result.reason for e in ledger.entries() if e.result and e.result.outcome == REFUSED]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_draws_that_make_no_config_are_drawn_again(store: Store, sampler: str) -> None:
    plan = conditional(sampler, trials=12)  # beyond the random start
    ledger = opened(store, plan)
    done = run(ledger, 12)
    assert ledger.claim() is None
    assert ledger.remaining() == 0
    assert {entry.state for entry in ledger.entries()} <= {"COMPLETE", "FAIL"}
    assert len(set(params(done))) == 12
    reasons = refused(ledger)
    assert bool(reasons) == (sampler in ("tpe", "gp"))
    assert all("above learning_rate" in reason for reason in reasons)
    (kept,) = all_ledgers(store)
    assert kept.remaining() == 0


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_two_workers_draw_again_each_for_itself(store: Store, sampler: str) -> None:
    plan = conditional(sampler)
    first, second = opened(store, plan), opened(store, plan, worker=1)
    done = run(first, 3) + run(second, 3)
    assert first.claim() is second.claim() is None
    assert len(set(params(done))) == 6


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_draw_depends_on_the_seed_and_the_draws_before_alone(store: Store, sampler: str) -> None:
    """As it always did: ledgers of earlier versions go on as they would have gone on then."""
    plan = search(trials=4, sampler=sampler)
    ledger = opened(store, plan)
    assert plan.search is not None
    by_hand = optuna.create_study(direction="maximize")
    for number, attempt in enumerate(run(ledger, 4)):
        by_hand.sampler = make_sampler(plan.search.sampler, sampler_seed(plan.spec.seed, 0, number))
        trial = by_hand.ask(dict(plan.search.space))
        assert trial.params == attempt.params
        by_hand.tell(trial, 1 - attempt.config.dropout)


def test_a_search_whose_draws_make_no_config_halts_with_the_reason(store: Store) -> None:
    plan = conditional(schedule=CategoricalDistribution(("cosine", "cyclical")))
    ledger = opened(store, conditional())
    ledger.plan = plan  # which no command begins
    with pytest.raises(NoConfigError, match=r"100 draws in a row .* above learning_rate"):
        ledger.claim()
    assert {entry.state for entry in ledger.entries()} == {"FAIL"}
    assert len(refused(ledger)) == MOST_REFUSED
    base = plan.base.replace(final_learning_rate=0.001)
    with pytest.raises(ValueError, match=r"final_learning_rate is 0.001 or more, .* 1e-05 or less"):
        check_drawable(replace(plan, base=base))


def narrow() -> Plan:
    wide = conditional(
        schedule=CategoricalDistribution(("constant",)),
        batch_size=CategoricalDistribution((25, 50, 75, 100)),
    )
    return replace(wide, base=wide.base.replace(train_images=60))  # a budget's own


def test_ranges_are_narrowed_for_new_ledgers(store: Store) -> None:
    ledger = opened(store, narrow())
    assert ledger.attributes[NARROWED] == "batch_size"
    run(ledger, 6)
    assert refused(ledger) == []


def test_a_ledger_that_was_begun_without_narrowing_goes_on_without(store: Store) -> None:
    name = opened(store, narrow()).name
    with closing(sqlite3.connect(store.root / "optuna.db")) as database, database:
        database.execute("DELETE FROM study_user_attributes WHERE key = ?", (NARROWED,))
    ledger = opened(store, narrow())
    run(ledger, 6)
    assert refused(ledger)
    trials = optuna.load_study(study_name=name, storage=connect(store)).trials
    assert trials[0].distributions["batch_size"] == narrow().ranges["batch_size"]
