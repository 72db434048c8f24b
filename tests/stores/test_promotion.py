"""The best pruned points of a search are brought to their end in its own ledger, each once."""

import json
from typing import Any

import pytest

from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.plan import Plan, confirmation_plan
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Attempt, Ledger, Result
from fashion_hpo.stores.opening import all_ledgers
from tests.plans import search
from tests.states import one_epoch
from tests.stores.test_ledger import claim_all, opened


def pruning(resume_pruned: int = 2, trials: int = 4, **options: Any) -> Plan:
    values = {"sampler": "random", "pruner": "one_epoch", **options}
    return search(trials=trials, resume_pruned=resume_pruned, **values)


def pruned(value: float) -> Result:
    """The model's own value, 0.5, is not what was reported last."""
    return Result("pruned", value=0.5, history=one_epoch(value))


def complete(value: float) -> Result:
    return Result("complete", value=value)


def scored(store: Store, plan: Plan, *results: Result) -> Ledger:
    ledger = opened(store, plan)
    for result in results:
        ledger.close(claimed(ledger), result)
    return ledger


def claimed(ledger: Ledger) -> Attempt:
    attempt = ledger.claim()
    assert attempt is not None
    return attempt


def test_every_trial_ends_after_its_first_epoch_and_the_best_go_on(store: Store) -> None:
    ledger = opened(store, pruning())
    for value in (0.6, 0.8, 0.7, 0.8):
        attempt = claimed(ledger)
        assert ledger.report(attempt, 1, value)
        ledger.close(attempt, pruned(value))
    assert (ledger.claim(), ledger.remaining()) == (None, 2)
    assert ledger.promote() == 2
    second, fourth = claim_all(ledger)
    points = [entry.attempt.point for entry in ledger.entries()]
    assert [second.point, fourth.point] == [points[1], points[3]], "the earlier of equals first"
    assert (second.promoted, second.attempt) == (True, 2)
    assert not any(ledger.report(second, epoch, 0.1) for epoch in (1, 2, 3))
    ledger.close(second, complete(0.9))
    assert ledger.remaining() == 1
    ledger.close(fourth, complete(0.7))
    assert (ledger.remaining(), ledger.promote(), ledger.claim()) == (0, 0, None)
    best = ledger.best()
    assert best is not None
    assert best.attempt == second


def test_of_equals_the_point_tried_first_leads_also_if_that_try_died(store: Store) -> None:
    ledger = opened(store, pruning(resume_pruned=1, trials=2))
    died = claimed(ledger)
    ledger.close(died, Result("died"))
    ledger.requeue(died)
    for _ in range(2):
        ledger.close(claimed(ledger), pruned(0.7))
    assert ledger.promote() == 1
    assert claimed(ledger).point == died.point


def test_nobody_is_promoted_while_a_trial_of_the_search_runs(store: Store) -> None:
    ledger = scored(store, pruning(trials=2), pruned(0.5))
    last = claimed(ledger)
    assert (ledger.promote(), ledger.claim()) == (0, None)
    assert ledger.remaining() == 3, "the last, and two that may go on"
    ledger.close(last, complete(0.6))
    assert ledger.promote() == 1
    assert ledger.remaining() == 1


def test_several_workers_promote_each_point_once(store: Store) -> None:
    first = scored(store, pruning(), *map(pruned, (0.6, 0.8, 0.7, 0.5)))
    second = opened(store, pruning())
    assert [first.promote(), second.promote()] == [2, 2]
    shared = [claimed(first), claimed(second)]
    assert first.promote() == 2, "they run, and have no outcome"
    assert (first.claim(), second.claim()) == (None, None)
    assert len({attempt.point for attempt in shared}) == 2


def test_a_promoted_attempt_that_died_is_tried_again_once(store: Store) -> None:
    ledger = scored(store, pruning(1), *map(pruned, (0.6, 0.8, 0.7, 0.5)))
    ledger.promote()
    died = claimed(ledger)
    ledger.close(died, Result("died"))
    ledger.requeue(died)
    ledger.requeue(died)
    assert ledger.promote() == 1
    (again,) = claim_all(ledger)
    assert (again.goal, again.attempt) == (died.goal, 3)


def test_a_promoted_trial_is_no_duplicate_of_the_pruned_one(store: Store) -> None:
    """Which hosts that share a ledger look for."""
    ledger = scored(store, pruning(1, 1), pruned(0.6))
    ledger.promote()
    best = ledger.entries()[1].attempt
    ledger._add(best, best.params, ledger.plan.ranges, 2)  # as another host may have done
    found = [ledger._is_duplicate(trial) for trial in ledger._trials()]
    assert found == [False, False, True]


def test_a_sampler_has_all_its_trials_beside_the_promoted_ones(store: Store) -> None:
    plan = {"sampler": "tpe", "pruner": "median"}
    ledger = scored(store, pruning(1, 2, **plan), pruned(0.5), pruned(0.6))
    ledger.promote()
    ledger.close(claimed(ledger), complete(0.7))
    longer = opened(store, pruning(1, 4, **plan))
    assert longer.remaining() == 3
    assert len(claim_all(longer)) == 2


def test_a_finished_search_may_resume_more_and_remembers_that(store: Store) -> None:
    plain = {"pruner": "median"}
    ledger = scored(store, pruning(0, **plain), *map(pruned, (0.6, 0.8, 0.7, 0.5)))
    assert (ledger.remaining(), ledger.promote()) == (0, 0)
    assert opened(store, pruning(2, **plain)).remaining() == 2
    again = opened(store, pruning(0, **plain))
    assert again.promote() == 2
    (kept,) = all_ledgers(store)
    assert kept.remaining() == 2
    assert json.loads(kept.attributes["identity"]) == again.plan.identity()


def test_the_confirmation_of_a_search_by_one_epoch_can_be_read(store: Store) -> None:
    ledger = opened(store, pruning())
    chosen = Confirmation(of=ledger.name, uid=ledger.uid, finalists=(claimed(ledger).params,))
    confirming = opened(store, confirmation_plan(ledger.plan, chosen, 1))
    found = {each.uid: each.plan.extent() for each in all_ledgers(store)}
    assert found == {each.uid: each.plan.extent() for each in (ledger, confirming)}


def test_a_search_that_stalled_still_resumes_its_best(store: Store) -> None:
    plan = pruning(1, 9, pruner="median", plateau=2)
    ledger = scored(store, plan, pruned(0.6), complete(0.5), complete(0.4), complete(0.3))
    assert (ledger.claim(), ledger.promote()) == (None, 1)
    better = claimed(ledger)
    assert better.promoted
    ledger.close(better, complete(0.9))
    assert (ledger.claim(), ledger.remaining()) == (None, 0), "it is no reason to go on"


def test_a_point_that_was_also_completed_is_not_promoted(store: Store) -> None:
    ledger = scored(store, pruning(9, 3), complete(0.9), pruned(0.6), Result("diverged"))
    done = ledger.entries()[0].attempt
    ledger._add(done, done.params, ledger.plan.ranges, 1)
    ledger.close(claimed(ledger), pruned(0.95))
    assert ledger.promote() == 1


@pytest.mark.parametrize("outcome", ["complete", "failed"])
def test_records_have_one_row_for_a_point_that_was_promoted(store: Store, outcome: str) -> None:
    ledger = scored(store, pruning(1, 2), pruned(0.6), pruned(0.8))
    ledger.promote()
    before = of_ledger(ledger)
    assert (before.trials["outcome"].tolist(), before.remaining) == (["pruned"] * 2, 1)
    ledger.close(claimed(ledger), Result(outcome, value=0.9))
    found = of_ledger(ledger)
    assert found.trials["outcome"].tolist() == ["pruned", outcome]
    assert found.trials["point"].is_unique
    assert set(found.epochs["trial"]) == {0}
