"""Pruned trials of a search that are brought to their end, from the first epoch to the report."""

from fashion_hpo.integrity.invariants import examine
from fashion_hpo.running.confirmation import is_due
from fashion_hpo.running.publish import publish
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.workers import EpochDone, TrialEnded, promote, work
from fashion_hpo.stores.layout import Store
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.conftest import OpenSession
from tests.plans import search

PLAN = search(trials=3, sampler="random", pruner="one_epoch", resume_pruned=2)


def test_they_go_on_from_their_checkpoints_to_the_bits_of_a_whole_training(
    open_here: OpenSession, store: Store, splits: SearchSplits
) -> None:
    here = open_here(PLAN)
    trained = [e.epoch.epoch for e in work(here) if isinstance(e, EpochDone)]
    assert trained == [1, 1, 1]
    assert not is_due(here.ledger), "who is a finalist is not known yet"
    assert promote(here) == 2
    trained = [e.epoch.epoch for e in work(here) if isinstance(e, EpochDone)]
    assert trained == [2, 3, 2, 3], "what was trained is not trained again"
    assert is_due(here.ledger)
    for entry in here.ledger.entries()[3:]:
        config = entry.attempt.config
        state = TrainingState(config, build_for(config), here.hardware)
        whole = epochs_of(train(state, splits))
        assert entry.result is not None
        assert [e["val_loss"] for e in entry.result.history] == [e.val_loss for e in whole]
        assert not store.checkpoint(here.ledger.uid, entry.attempt.point).exists()
    published = publish(here.mirror)
    assert published.answer[0].startswith("Best of 3 trials (1 pruned): ")
    assert examine(store, here.ledger, here.tracker) == []


def test_one_that_was_killed_before_it_was_pruned_trains_no_epoch_more(
    open_here: OpenSession,
) -> None:
    """Its checkpoint has the epoch after which it ends."""
    here = open_here(search(trials=1, sampler="random", pruner="one_epoch", resume_pruned=1))
    events = work(here)
    while not isinstance(next(events), EpochDone):
        pass
    events.close()  # type: ignore[attr-defined]  # as if the process had died: its lock is free
    again = open_here(here.ledger.plan)
    assert len(list(reconcile(again.mirror))) == 2
    assert not [e for e in work(again) if isinstance(e, EpochDone)]
    assert [e.state for e in again.ledger.entries()] == ["FAIL", "PRUNED"]


def test_one_that_is_stopped_goes_on_and_is_not_done_twice(
    open_here: OpenSession, store: Store
) -> None:
    here = open_here(search(trials=1, sampler="random", pruner="one_epoch", resume_pruned=1))
    list(work(here))
    promote(here)
    events = work(here)
    while not isinstance(next(events), EpochDone):
        pass
    events.close()  # type: ignore[attr-defined]
    again = open_here(here.ledger.plan)
    assert len(list(reconcile(again.mirror))) == 2
    assert promote(again) == 1
    (ended,) = [e for e in work(again) if isinstance(e, TrialEnded)]
    assert (ended.attempt.promoted, ended.result.outcome) == (True, "complete")
    assert [e.state for e in again.ledger.entries()] == ["PRUNED", "FAIL", "COMPLETE"]
    publish(again.mirror)
    assert examine(store, again.ledger, again.tracker) == []
