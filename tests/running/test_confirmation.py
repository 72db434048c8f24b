from dataclasses import replace
from typing import Any

import pytest

from fashion_hpo.design.plan import Plan
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.registering.registration import candidate
from fashion_hpo.running.confirmation import (
    audited,
    deciding,
    finalists,
    open_confirmation,
    plan_of,
)
from fashion_hpo.running.publish import publish
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session
from fashion_hpo.running.workers import EpochDone, TrialEnded, work
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger, Result
from fashion_hpo.stores.opening import confirmation_of, open_ledger
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.conftest import OpenSession
from tests.plans import search


def searching(*, finalists: int = 2, fresh_seeds: int = 2, audit: int = 0, **given: Any) -> Plan:
    plan = search(**given)
    assert plan.search is not None
    sized = replace(plan.search, finalists=finalists, fresh_seeds=fresh_seeds, audit=audit)
    return replace(plan, search=sized)


def scored(store: Store, plan: Plan, values: list[Result]) -> Ledger:
    """A search whose trials came to this."""
    ledger = open_ledger(store, plan, "data", threads=1)
    for result in values:
        attempt = ledger.claim()
        assert attempt is not None
        ledger.close(attempt, result)
    return ledger


def complete(value: float, **told: str) -> Result:
    return Result("complete", value=value, hardware=told)


def numbers(ledger: Ledger, chosen: tuple[Any, ...]) -> list[int]:
    entries = {tuple(e.attempt.params.values()): e.attempt.number for e in ledger.entries()}
    return [entries[tuple(values.values())] for values in chosen]


def confirming(here: Session) -> Session:
    found = open_confirmation(here, device="cpu")
    assert found is not None
    return found


def test_finalists_are_the_best_complete_trials_the_first_of_equals(store: Store) -> None:
    results = [
        complete(0.5),
        complete(0.9, not_comparable="batch normalisation over 5 images"),
        Result("pruned", value=0.95),
        complete(0.7),
        complete(0.6),
        complete(0.7),
        Result("diverged"),
    ]
    ledger = scored(store, searching(trials=7, sampler="random"), results)
    assert numbers(ledger, finalists(ledger, 3)) == [3, 5, 4]
    assert numbers(ledger, finalists(ledger, 9)) == [3, 5, 4, 0]
    assert finalists(ledger, 0) == ()


def test_a_config_that_was_proposed_twice_is_one_finalist(store: Store) -> None:
    plan = searching(trials=3, sampler="tpe")
    ledger = scored(store, plan, [complete(0.5), complete(0.6)])
    best = ledger.entries()[1].attempt
    ledger._add(best, best.params, plan.ranges, 1)
    again = ledger.claim()
    assert again is not None
    ledger.close(again, complete(0.55))
    assert len(ledger.entries()) == 3
    assert numbers(ledger, finalists(ledger, 2))[1] == 0


def test_the_audit_draws_pruned_points_by_the_studys_seed(store: Store) -> None:
    results = [Result("pruned", value=0.1)] * 6 + [complete(0.5)]
    ledger = scored(store, searching(trials=7, sampler="random"), results)
    drawn = audited(ledger, 3)
    assert drawn == audited(ledger, 3)
    assert drawn == audited(ledger, 6)[:3], "more keep the first ones"
    assert len(set(numbers(ledger, audited(ledger, 9)))) == 6
    assert 6 not in numbers(ledger, audited(ledger, 9))


@pytest.mark.parametrize("results", [[complete(0.5)], [Result("failed")] * 2])
def test_nothing_is_confirmed_before_the_end_or_without_a_complete_trial(
    store: Store, results: list[Result]
) -> None:
    assert plan_of(scored(store, searching(trials=2), results)) is None


def test_nobody_is_asked_for(store: Store) -> None:
    assert plan_of(scored(store, searching(trials=1, finalists=0), [complete(0.5)])) is None


def test_a_killed_confirmation_goes_on_and_every_invariant_holds(
    open_here: OpenSession, store: Store
) -> None:
    plan = searching(trials=1, sampler="random", pruner="none")
    here = open_here(plan)
    list(work(here))
    first = confirming(here)
    events = work(first)
    while not isinstance(next(events), EpochDone):
        pass
    events.close()  # type: ignore[attr-defined]  # as if the process had died: its lock is free
    again, other = confirming(open_here(plan)), confirming(open_here(plan))
    assert again.ledger.uid == first.ledger.uid
    assert len(list(reconcile(again.mirror))) == 2
    (one,) = [e for e in work(again, max_trials=1) if isinstance(e, TrialEnded)]
    rest = [e.attempt for e in work(other) if isinstance(e, TrialEnded)]
    assert len({one.attempt.point, *(attempt.point for attempt in rest)}) == 2
    assert again.ledger.remaining() == 0
    assert [e for e in work(again) if isinstance(e, TrialEnded)] == []
    seeds = {e.attempt.seed_index for e in again.ledger.entries()}
    assert seeds == {1, 2}
    published = publish(open_here(plan).mirror)
    assert published.answer[0].startswith("Winner: dropout ")
    ledger = confirmation_of(store, here.ledger)
    assert ledger is not None
    for each in (here.ledger, ledger):
        assert examine(store, each, here.tracker) == []
    run = here.tracker.client.get_run(str(here.tracker.run_of(here.ledger.uid)))
    assert set(run.data.tags) >= {"fashion_hpo.selection_bias", "fashion_hpo.winner"}


def test_an_extended_search_adds_its_new_finalists(open_here: OpenSession, store: Store) -> None:
    sizes = {"finalists": 1, "fresh_seeds": 1, "sampler": "random", "pruner": "none"}
    here = open_here(searching(trials=1, **sizes))  # type: ignore[arg-type]
    list(work(here))
    with pytest.raises(ValueError, match=r"^1 of 1 trainings that confirm the finalists of t"):
        deciding(store, here.ledger)
    first = confirming(here)
    list(work(first))
    assert deciding(store, here.ledger).uid == first.ledger.uid
    assert candidate(first.ledger, first.tracker).attempt.seed_index == 1
    longer = open_here(searching(trials=2, **sizes))  # type: ignore[arg-type]
    assert open_confirmation(longer, device="cpu") is None, "it is not done"
    worse = longer.ledger.claim()
    assert worse is not None
    best = here.ledger.best()
    assert best is not None
    assert best.result is not None
    assert best.result.value is not None
    longer.ledger.close(worse, complete(best.result.value + 0.01))
    with pytest.raises(ValueError, match=r"^1 of 1 trainings"):
        deciding(store, longer.ledger)
    there = confirming(longer)
    assert (there.ledger.plan.trials, there.ledger.remaining()) == (2, 1)


def test_an_audited_trial_goes_on_from_where_it_was_pruned_to_the_bits_of_a_whole_one(
    open_here: OpenSession, store: Store, splits: SearchSplits
) -> None:
    plan = searching(trials=6, audit=1, finalists=0, sampler="random", pruner="median")
    here = open_here(plan)
    for _ in range(5):  # so good that the median of them ends the next at once
        good = here.ledger.claim()
        assert good is not None
        assert not any(here.ledger.report(good, epoch, 0.99) for epoch in (1, 2, 3))
        here.ledger.close(good, complete(0.99))
    list(work(here))
    pruned = here.ledger.entries()[-1]
    assert pruned.result is not None
    assert (pruned.result.outcome, len(pruned.result.history)) == ("pruned", 1)
    there = confirming(here)
    events = list(work(there))
    trained = [e.epoch.epoch for e in events if isinstance(e, EpochDone)]
    assert trained == [2, 3], "what was trained is not trained again"
    (entry,) = there.ledger.entries()
    config = entry.attempt.config
    assert (entry.state, entry.attempt.seed_index, config) == (
        "COMPLETE", 0, pruned.attempt.config,
    )  # fmt: skip
    assert entry.result is not None
    state = TrainingState(config, build_for(config), here.hardware)
    whole = epochs_of(train(state, splits))
    assert [e["val_loss"] for e in entry.result.history] == [epoch.val_loss for epoch in whole]
    kept = store.checkpoint(here.ledger.uid, entry.attempt.point)
    assert kept.exists(), "the search keeps its own"
