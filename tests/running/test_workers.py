from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import BaseFileLock
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook

from fashion_hpo.running import workers
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.workers import EpochDone, StudyHaltedError, TrialEnded, TrialStarted, work
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


def steps_taken(session: workers.Session, **options: int) -> str:
    """The numbers of the trials, in the order of their optimizer steps."""
    order: list[int] = []
    optimizers: list[Optimizer] = []  # in the order of their first steps, which is the trials'

    def record(optimizer: Optimizer, *_: object) -> None:
        if not any(optimizer is known for known in optimizers):
            optimizers.append(optimizer)
        order.append(next(n for n, known in enumerate(optimizers) if known is optimizer))

    hook = register_optimizer_step_post_hook(record)
    try:
        list(work(session, **options))
    finally:
        hook.remove()
    return "".join(map(str, order))


def test_trials_side_by_side_take_turns_after_every_step(open_here: OpenSession) -> None:
    """Batches of 50 make 2 steps of an epoch of 100 images, batches of 25 make 4.

    An epoch's evaluation and a trial's end are turns too.  Trial 3 begins as soon as trial 0 ends.
    """
    plan = design(
        base=TINY.replace(epochs=1), scientific={"batch_size": (50, 25)}, seeds=2, claims=[]
    )
    assert steps_taken(open_here(plan), side_by_side=3) == "012012113333"


def test_each_trial_side_by_side_has_a_stream_of_its_own(
    open_here: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next trial takes the stream of one that has ended."""
    streams: list[str] = []
    used: list[str] = []

    class Stream:
        def __init__(self, _device: str) -> None:
            self.name = "abc"[len(streams)]
            streams.append(self.name)

        def __enter__(self) -> None:
            used.append(self.name)

        def __exit__(self, *_: object) -> None:
            used.append(self.name.upper())

    monkeypatch.setattr(workers, "stream", Stream)
    plan = design(base=TINY.replace(epochs=1), seeds=3, claims=[])
    list(work(open_here(plan), side_by_side=2))
    assert streams == ["a", "b"]
    assert all(left == entered.upper() for entered, left in zip(used[::2], used[1::2], strict=True))
    turns = "".join(used[::2])
    assert turns.startswith("bababa")
    assert len(turns) == turns.count("a") + turns.count("b")
    assert abs(turns.count("a") - turns.count("b")) <= 1


def test_side_by_side_is_logged_and_changes_no_bit(open_here: OpenSession) -> None:
    session = open_here(design())
    events = list(work(session, side_by_side=3))
    assert [type(event).__name__ for event in events[:3]] == ["TrialStarted"] * 3
    results = [entry.result for entry in session.ledger.entries() if entry.result]
    assert {result.hardware["side_by_side"] for result in results} == {"3"}
    run = session.tracker.client.get_run(
        str(session.tracker.run_of(session.ledger.entries()[0].attempt.uid))
    )
    assert run.data.tags["fashion_hpo.side_by_side"] == "3"
    alone = open_here(design(budget="quick"))
    list(work(alone))
    assert curves(session) == curves(alone)
    hardware = [entry.result.hardware for entry in alone.ledger.entries() if entry.result]
    assert not any("side_by_side" in h for h in hardware)


def test_max_trials_counts_those_side_by_side(open_here: OpenSession) -> None:
    session = open_here(design())
    assert outcomes(list(work(session, max_trials=2, side_by_side=3))) == ["complete"] * 2
    assert session.ledger.remaining() == 2
    assert outcomes(list(work(session, side_by_side=3))) == ["complete"] * 2


def test_a_timeout_closes_all_side_by_side(open_here: OpenSession) -> None:
    session = open_here(design())
    events = list(work(session, timeout=0.001, side_by_side=3))
    assert outcomes(events) == []
    entries = session.ledger.entries()
    started = sum(isinstance(event, TrialStarted) for event in events)
    stopped = [entry for entry in entries if entry.result and entry.result.outcome == "stopped"]
    assert len(stopped) == started >= 1
    assert outcomes(list(work(session, side_by_side=3))) == ["complete"] * 4
