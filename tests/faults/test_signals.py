"""Signals: stop, stop at once, pause for long, the death of who started the workers."""

import signal
from functools import partial
from pathlib import Path

import pytest

from fashion_hpo.running.signals import Stopped
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, ended, ledger_of, wait_until
from tests.plans import design

PLAN = design(seeds=1)
WRITES = ("trial claimed", "params logged", ".pt file written", "epoch reported", "model written",
          "result committed", "model uploaded")  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("write", WRITES)
def test_one_signal_lets_what_is_written_be_finished(
    lab: Lab, whole: bool, number: signal.Signals, write: str
) -> None:
    for nth in (1, 2) if whole else (1,):
        store = lab.store()
        fault = partial(child.signalled_at, Moment(write, nth), number)
        code = lab.run(store, PLAN, fault)
        lab.inject(f"{number.name} once")
        assert code == child.STOPPED
        states = {entry.state for entry in ledger_of(store, PLAN).entries()}
        assert "RUNNING" not in states
        lab.check(store, PLAN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("write", WRITES)
def test_the_second_signal_leaves_at_once(lab: Lab, number: signal.Signals, write: str) -> None:
    store = lab.store()
    fault = partial(child.signalled_at, Moment(write), number, number)
    assert lab.run(store, PLAN, fault) == 128 + number == Stopped(number).exit_code
    lab.inject(f"{number.name} twice")
    lab.check(store, PLAN)


@pytest.mark.parametrize("write", ["params logged", "epoch reported", "model written"])
def test_a_paused_worker_keeps_its_point(lab: Lab, tmp_path: Path, write: str) -> None:
    """Stopped for as long as anybody likes, then continued: nobody else ran its point."""
    store, reached = lab.store(), tmp_path / "reached"
    paused = lab.start(store, PLAN, partial(child.marked_at, Moment(write), reached))
    wait_until(reached.exists)
    assert paused.pid is not None
    child.os.kill(paused.pid, signal.SIGSTOP)
    lab.inject("SIGSTOP past any grace, then SIGCONT")
    assert lab.run(store, PLAN) == 0, "another worker does all the rest"
    assert ledger_of(store, PLAN).remaining() == 1
    reached.with_suffix(".go").touch()
    child.os.kill(paused.pid, signal.SIGCONT)
    assert ended(paused) == 0
    assert len(lab.check(store, PLAN).entries()) == 2


def test_a_study_started_twice_runs_each_point_once(lab: Lab, tmp_path: Path) -> None:
    store, reached = lab.store(), tmp_path / "reached"
    first = lab.start(store, PLAN, partial(child.marked_at, Moment("epoch reported"), reached))
    wait_until(reached.exists)
    lab.inject("the study started twice")
    assert lab.run(store, PLAN) == 0
    reached.with_suffix(".go").touch()
    assert ended(first) == 0
    assert len(lab.check(store, PLAN).entries()) == 2
