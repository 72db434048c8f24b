from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import BaseFileLock

from fashion_hpo.running import workers
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.workers import EpochDone, StudyHaltedError, TrialEnded, work
from fashion_hpo.stores.layout import Store
from tests.conftest import OpenSession
from tests.plans import TINY, design


def outcomes(events: list[workers.Event]) -> list[str]:
    return [event.result.outcome for event in events if isinstance(event, TrialEnded)]


def curves(session: workers.Session) -> dict[str, list[float]]:
    return {
        entry.attempt.point: [epoch["val_loss"] for epoch in entry.result.history]
        for entry in session.ledger.entries()
        if entry.result is not None and entry.result.final
    }


def test_max_trials_stops_and_the_next_start_goes_on(open_here: OpenSession) -> None:
    session = open_here(design())
    assert outcomes(list(work(session, max_trials=3))) == ["complete"] * 3
    assert session.ledger.remaining() == 1
    assert outcomes(list(work(open_here(design())))) == ["complete"]


def test_a_timeout_closes_the_trial_which_later_ends_as_if_undisturbed(
    open_here: OpenSession, files_of: Callable[[], list[Path]]
) -> None:
    session = open_here(design(seeds=1))
    assert outcomes(list(work(session, timeout=0.001))) == []
    (stopped, waiting) = session.ledger.entries()[0], session.ledger.entries()[-1]
    assert stopped.result is not None
    assert (stopped.result.outcome, waiting.state) == ("stopped", "WAITING")
    assert waiting.attempt.point == stopped.attempt.point
    assert [path.suffix for path in files_of()] == [".pt"], "its checkpoint stays"
    events = list(work(open_here(design(seeds=1))))
    resumed = [e for e in events if isinstance(e, EpochDone)]
    assert sorted(event.epoch.epoch for event in resumed) == [1, 2, 2, 3, 3]
    undisturbed = open_here(design(seeds=1, budget="quick"))
    list(work(undisturbed))
    assert curves(open_here(design(seeds=1))) == curves(undisturbed)


def test_a_signal_while_training_closes_the_attempt(open_here: OpenSession) -> None:
    session = open_here(design(seeds=1))
    seen = []
    with pytest.raises(Stopped) as stopped:  # noqa: PT012  (the loop is what is interrupted)
        for event in work(session):
            seen.append(event)
            if isinstance(event, EpochDone):
                session.signals._receive(15, None)
    assert stopped.value.exit_code == 143
    assert [type(event).__name__ for event in seen] == ["TrialStarted", "EpochDone"]
    entries = session.ledger.entries()
    assert not any(entry.state == "RUNNING" for entry in entries)
    assert sum(entry.state == "WAITING" for entry in entries) == 2
    run = session.tracker.client.get_run(str(session.tracker.run_of(entries[0].attempt.uid)))
    assert run.info.status == "KILLED"
    assert outcomes(list(work(open_here(design(seeds=1))))) == ["complete"] * 2


def test_an_abandoned_trial_is_found_and_finished(open_here: OpenSession) -> None:
    session = open_here(design(seeds=1))
    events = work(session)
    while not isinstance(next(events), EpochDone):
        pass
    events.close()  # type: ignore[attr-defined]  # as if the process had died: its lock is free
    assert session.ledger.entries()[0].state == "RUNNING"
    again = open_here(design(seeds=1))
    mended = list(reconcile(again.mirror))
    assert len(mended) == 2
    assert list(reconcile(again.mirror)) == [], "doing it again changes nothing"
    assert outcomes(list(work(again))) == ["complete"] * 2
    assert again.ledger.remaining() == 0


def test_no_lock_of_a_trial_outlives_it(
    open_here: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even while somebody still has the object: nothing is left to garbage collection."""
    taken: list[BaseFileLock] = []
    make = Store.trial_lock

    def trial_lock(self: Store, uid: str) -> BaseFileLock:
        taken.append(make(self, uid))
        return taken[-1]

    monkeypatch.setattr(Store, "trial_lock", trial_lock)
    session = open_here(design(seeds=1))
    events = work(session)
    while not isinstance(next(events), EpochDone):
        pass
    assert [lock.is_locked for lock in taken] == [True]
    events.close()  # type: ignore[attr-defined]  # as if the process had died
    assert len(list(reconcile(open_here(design(seeds=1)).mirror))) == 2
    list(work(session))
    assert len(taken) == 4
    assert not any(lock.is_locked for lock in taken)


def test_failures_in_a_row_halt_the_study(open_here: OpenSession) -> None:
    base = TINY.replace(architecture="three_block_cnn", architecture_options={"channels": 10**6})
    session = open_here(design(base=base))
    with pytest.raises(StudyHaltedError, match="3 trials in a row failed"):
        list(work(session))
    results = [entry.result for entry in session.ledger.entries() if entry.result]
    assert [result.outcome for result in results] == ["failed"] * 3
    assert all(result.reason for result in results)


def test_a_worker_that_finds_nothing_ends_at_once(open_here: OpenSession) -> None:
    list(work(open_here(design(seeds=1))))
    assert list(work(open_here(design(seeds=1)))) == []
