"""kill -9 while a search is confirmed, and two processes that begin to confirm it at once."""

import shutil
import signal
from dataclasses import replace
from functools import partial

import pytest

from fashion_hpo.design.plan import Plan
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import confirmation_of
from fashion_hpo.stores.tracking import Tracker
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, curves, ended, ledger_of
from tests.plans import search

MOMENTS = (
    Moment("ledger created"),
    Moment("ledger described", 2),
    Moment("point enqueued"),
    Moment("epoch reported"),
    Moment("result committed"),
    Moment("trial told", 2),
)


@pytest.fixture(scope="module")
def plan() -> Plan:
    made = search(trials=1, pruner="none", sampler="random")
    assert made.search is not None
    return replace(made, search=replace(made.search, finalists=1, fresh_seeds=2))


@pytest.fixture(scope="module")
def searched(lab: Lab, plan: Plan) -> Store:
    """A store in which the search is done, and its confirmation has not begun."""
    store = lab.store()
    assert lab.run(store, plan) == 0
    return store


def again(lab: Lab, searched: Store) -> Store:
    store = lab.store()
    shutil.rmtree(store.root)
    shutil.copytree(searched.root, store.root)
    return store


def checked(store: Store, plan: Plan) -> Ledger:
    """The confirmation, in which every invariant holds."""
    found = confirmation_of(store, ledger_of(store, plan))
    assert found is not None
    assert found.remaining() == 0
    assert examine(store, found, Tracker(store, plan.name)) == []
    return found


def test_killed_at_a_write_it_goes_on_to_the_same_numbers(
    lab: Lab, searched: Store, plan: Plan, whole: bool
) -> None:
    undisturbed = again(lab, searched)
    assert ended(lab.process(child.confirm, undisturbed, plan)) == 0
    expected = curves(checked(undisturbed, plan))
    assert len(expected) == 2

    def try_out(moment: Moment) -> None:
        store = again(lab, searched)
        fault = partial(child.killed_at, moment)
        assert ended(lab.process(child.confirm, store, plan, fault)) == -signal.SIGKILL
        lab.inject("kill -9 while a search is confirmed")
        assert ended(lab.process(child.confirm, store, plan)) == 0
        assert curves(checked(store, plan)) == expected

    lab.each(MOMENTS if whole else MOMENTS[1::3], try_out)


def test_two_processes_at_once_agree_on_the_finalists(
    lab: Lab, searched: Store, plan: Plan
) -> None:
    store = again(lab, searched)
    both = [lab.process(child.confirm, store, plan) for _ in range(2)]
    assert [ended(process) for process in both] == [0, 0]
    ledger = confirmation_of(store, ledger_of(store, plan))
    assert ledger is not None
    points = [entry.attempt.point for entry in ledger.entries()]
    assert len(points) == len(set(points)) == 2
    assert ledger.remaining() == 0
