"""kill -9, at every write, in every part of a study's life, at random times, of many workers."""

from functools import partial

import pytest

from fashion_hpo.stores.attempts import REFUSED
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, seeded
from tests.plans import TINY, design, search
from tests.stores.test_samplers import conditional

ONE = {"seeds": 1, "scientific": {"dropout": (0.0,)}, "claims": []}
PLANS = {
    "a design": design(**ONE, base=TINY.replace(epochs=2)),
    "early stopping and MixUp": design(
        **ONE, base=TINY.replace(early_stopping_patience=2, mixup_alpha=0.4)
    ),
    "a search": search(trials=1, pruner="none"),
    "pruned trials brought to their end": search(
        trials=2,
        pruner="one_epoch",
        sampler="random",
        resume_pruned=1,
        constraints={"parameters": 1_000_000},
    ),
}
AFTER = ("epoch reported", "result committed", "summaries logged")  # where the first attempt dies


@pytest.mark.parametrize("name", PLANS)
def test_killed_at_every_write(lab: Lab, whole: bool, name: str) -> None:
    plan = PLANS[name]
    moments = lab.moments(plan)

    def try_out(moment: Moment) -> None:
        store = lab.store()
        assert lab.killed(store, plan, moment, f"kill -9 at a write of {name}")
        lab.check(store, plan, same=plan.search is None or plan.search.is_drawn)

    lab.undisturbed(plan)
    lab.each(moments if whole else part_of(moments, name), try_out)


def test_killed_while_pruned_points_are_promoted(lab: Lab, whole: bool) -> None:
    """None is lost and none is promoted twice, and all go on to the bits of an undisturbed run."""
    bounds = {"parameters": 1_000_000, "ece": 1.0}
    plan = search(
        trials=3, pruner="one_epoch", sampler="random", resume_pruned=2, constraints=bounds
    )
    moments = (Moment("point promoted"), Moment("point promoted", 2), Moment("constraint told", 4))
    for moment in moments if whole else moments[1:2]:
        store = lab.store()
        assert lab.killed(store, plan, moment, "kill -9 while pruned points are promoted")
        ledger = lab.check(store, plan)
        promoted = [e for e in ledger.entries() if e.attempt.promoted]
        assert [e.state for e in promoted] == ["COMPLETE"] * 2
        assert len({e.attempt.point for e in promoted}) == 2


@pytest.mark.parametrize("died", AFTER)
def test_killed_at_every_write_of_the_next_start(lab: Lab, whole: bool, died: str) -> None:
    """Most of these are writes of `reconcile`."""
    plan = PLANS["a design"]
    moments = lab.moments(plan, lambda store: lab.run(store, plan, dies_at(died)))

    def try_out(moment: Moment) -> None:
        store = lab.store()
        assert lab.killed(store, plan, Moment(died), "kill -9 before a reconcile")
        assert lab.killed(store, plan, moment, "kill -9 in the reconcile after it, and later")
        lab.check(store, plan)

    lab.undisturbed(plan)
    lab.each(moments if whole else part_of(moments, died)[:1], try_out)


def test_killed_again_and_again_at_the_same_write(lab: Lab, whole: bool) -> None:
    plan = PLANS["a design"]
    writes = ("trial claimed", ".pt file not yet renamed", "model written", "trial told")
    for write in writes if whole else writes[2:3]:
        store = lab.store()
        for _ in range(3):
            lab.killed(store, plan, Moment(write), "kill -9 three times at one write")
        lab.check(store, plan)


def test_killed_at_random_times(lab: Lab, whole: bool) -> None:
    plan = design(seeds=2)

    def try_out(study: int) -> None:
        chance, store = seeded(f"random times {study}"), lab.store()
        for _ in range(8):
            worker = lab.start(store, plan)
            if not lab.kill_later(worker, chance.uniform(0.05, 1.2), "kill -9 at a random time"):
                break
        lab.check(store, plan)

    lab.undisturbed(plan)
    lab.each(range(40 if whole else 1), try_out)


def test_four_workers_killed_at_random_times(lab: Lab, whole: bool) -> None:
    plan = design(seeds=4)
    for study in range(20 if whole else 1):
        chance, store = seeded(f"four workers {study}"), lab.store()
        for _ in range(3 if whole else 2):
            team = [lab.start(store, plan) for _ in range(4)]
            for worker in team:
                lab.kill_later(worker, chance.uniform(0.1, 1.0), "kill -9 of one worker of four")
        ledger = lab.check(store, plan)
        assert len({e.attempt.point for e in ledger.entries()}) == 8


def test_the_checkpoint_is_the_old_or_the_new_one(lab: Lab) -> None:
    """Killed in the middle of writing the second one, a point goes on from the first."""
    plan = PLANS["a design"]
    for write in ("half of .pt file written", ".pt file not yet renamed"):
        store = lab.store()
        assert lab.killed(store, plan, Moment(write, 2), "kill -9 in the checkpoint's write")
        (kept,) = store.root.glob("checkpoints/*/*.pt")
        assert kept.stat().st_size > 0
        ledger = lab.check(store, plan)
        assert [e.attempt.attempt for e in ledger.entries()] == [1, 2]


def test_four_processes_on_a_store_without_databases(lab: Lab, whole: bool) -> None:
    plan = design(seeds=2)
    for _ in range(3 if whole else 1):
        store = lab.store(fresh=True)
        team = [lab.start(store, plan) for _ in range(4)]
        lab.inject("first use by four processes at once")
        for worker in team:
            worker.join()
        assert [worker.exitcode for worker in team] == [0] * 4
        lab.check(store, plan)


def test_four_workers_run_every_point_once(lab: Lab, whole: bool) -> None:
    plan = design(seeds=9 if whole else 4)
    store = lab.store()
    team = [lab.start(store, plan) for _ in range(4)]
    lab.inject("four workers at once")
    for worker in team:
        worker.join()
    assert [worker.exitcode for worker in team] == [0] * 4
    ledger = lab.check(store, plan)
    assert len(ledger.entries()) == plan.trials


def dies_at(write: str) -> partial[None]:
    return partial(child.killed_at, Moment(write))


def part_of(moments: list[Moment], name: str) -> list[Moment]:
    """Two or three moments, spread over all."""
    return moments[len(name) % 3 :: max(1, len(moments) // 2)]


def test_killed_between_draws_that_make_no_config(lab: Lab, whole: bool) -> None:
    """A refused draw counts once: the search goes on to the points of an undisturbed one."""
    plan = conditional(trials=2)
    writes = ("trial asked", "result committed", "trial told", "proposal described")
    moments = [*map(Moment, writes), Moment("trial asked", 2), Moment("trial asked", 3)]
    undisturbed = lab.undisturbed(plan)
    for moment in moments if whole else moments[1::3]:
        store = lab.store()
        lab.killed(store, plan, moment, "kill -9 between draws that make no config")
        ledger = lab.check(store, plan)
        assert len(undisturbed) == 2
        assert any(entry.result and entry.result.outcome == REFUSED for entry in ledger.entries())
