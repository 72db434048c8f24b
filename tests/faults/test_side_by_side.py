"""The kinds of fault, in a worker that trains three trials side by side.

After each fault the next start trains one trial at a time, and comes to the same bits.
"""

import math
import signal
from functools import partial

import pytest

from fashion_hpo.design.plan import Plan
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, ledger_of, seeded
from tests.faults.test_failures import OUT_OF_MEMORY, OWN_BUG, results
from tests.faults.test_kills import part_of
from tests.plans import TINY, design, search

THREE = 3
PLAN = design(base=TINY.replace(epochs=2), seeds=2)
PRUNED = search(trials=4, pruner="one_epoch", sampler="random", resume_pruned=1)


@pytest.mark.parametrize("plan", [PLAN, PRUNED], ids=["a design", "pruned trials"])
def test_killed_at_every_write(lab: Lab, whole: bool, plan: Plan) -> None:
    moments = lab.moments(plan, side_by_side=THREE)
    assert any(moment.nth > THREE for moment in moments)

    def try_out(moment: Moment) -> None:
        store = lab.store()
        kind = "kill -9 at a write, three side by side"
        assert lab.killed(store, plan, moment, kind, side_by_side=THREE)
        lab.check(store, plan)

    lab.undisturbed(plan)
    lab.each(moments if whole else part_of(moments, plan.name)[-1:], try_out)


def test_killed_at_random_times_and_gone_on_with_side_by_side(lab: Lab, whole: bool) -> None:
    def try_out(study: int) -> None:
        chance, store = seeded(f"side by side {study}"), lab.store()
        for _ in range(4):
            worker = lab.start(store, PLAN, side_by_side=THREE)
            kind = "kill -9 at a random time, three side by side"
            if not lab.kill_later(worker, chance.uniform(0.05, 1.5), kind):
                break
        assert lab.run(store, PLAN, side_by_side=THREE) == 0
        lab.check(store, PLAN)

    lab.undisturbed(PLAN)
    lab.each(range(20 if whole else 1), try_out)


@pytest.mark.parametrize("write", [".pt file written", "model written"])
def test_an_exception_in_one_trial_leaves_the_others_alone(lab: Lab, write: str) -> None:
    store = lab.store()
    fault = partial(child.raising_at, Moment(write, 2), OWN_BUG)
    assert lab.run(store, PLAN, fault, THREE) == 0
    lab.inject("an exception in one of three")
    outcomes = [result.outcome for result in results(lab.check(store, PLAN, same=False))]
    assert outcomes == ["complete", "failed", "complete", "complete"]


@pytest.mark.parametrize("times", [1, 2])
def test_memory_that_runs_out_beside_others_is_tried_again_alone_first(
    lab: Lab, times: int
) -> None:
    store = lab.store()
    assert lab.run(store, PLAN, partial(out_of_memory, times), THREE) == 0
    lab.inject("memory runs out beside others", times)
    ledger = lab.check(store, PLAN, same=times == 1)
    hardware = [result.hardware for result in results(ledger)]
    assert [result.outcome for result in results(ledger)] == ["complete"] * 4
    assert [h.get("micro_batch") for h in hardware] == [
        None,
        "12" if times == 2 else None,
        None,
        None,
    ]
    assert {h["side_by_side"] for h in hardware} == {"3"}


def out_of_memory(times: int) -> None:
    """Memory runs out for the second trial, and with `times` of 2 when it is alone again.

    Its first checkpoint alone is the sixth of all: the second fault's fifth, because the write at
    which the first fault raises does not reach it.
    """
    child.raising_at(Moment(".pt file written", 2), OUT_OF_MEMORY)
    if times == 2:
        child.raising_at(Moment(".pt file written", 5), OUT_OF_MEMORY)


def test_one_that_diverges_leaves_the_others_alone(lab: Lab) -> None:
    store = lab.store()
    assert lab.run(store, PLAN, partial(child.with_loss, math.nan, 2), THREE) == 0
    lab.inject("a loss of nan in one of three")
    outcomes = [result.outcome for result in results(lab.check(store, PLAN, same=False))]
    assert sorted(outcomes) == ["complete", "complete", "complete", "diverged"]


@pytest.mark.parametrize("write", ["trial claimed", "epoch reported", "model written"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_all_three(lab: Lab, number: signal.Signals, write: str) -> None:
    store = lab.store()
    fault = partial(child.signalled_at, Moment(write), number)
    assert lab.run(store, PLAN, fault, THREE) == child.STOPPED
    lab.inject(f"{number.name} with three side by side")
    ledger = ledger_of(store, PLAN)
    assert "RUNNING" not in {entry.state for entry in ledger.entries()}
    assert ledger.remaining() == 4 - sum(r.outcome == "complete" for r in results(ledger))
    lab.check(store, PLAN)


def test_trials_that_all_fail_halt_the_study_and_close_the_others(lab: Lab) -> None:
    store = lab.store()
    assert lab.run(store, PLAN, all_fail, THREE) == child.HALTED
    lab.inject("all trials fail, three side by side", 3)
    ledger = ledger_of(store, PLAN)
    assert [result.outcome for result in results(ledger)] == ["failed"] * 3 + ["stopped"]
    assert "RUNNING" not in {entry.state for entry in ledger.entries()}
    lab.check(store, PLAN, same=False)


def all_fail() -> None:
    for nth in (1, 2, 3):
        child.raising_at(Moment(".pt file written", nth), OWN_BUG)
