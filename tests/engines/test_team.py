"""What a team does when its workers die, under an engine that plays what is written down."""

from collections.abc import Iterator

import pytest

from fashion_hpo.engines import team
from fashion_hpo.engines.team import Ended, Failed, Start, WorkerDied
from fashion_hpo.running.signals import StopSignals
from fashion_hpo.running.workers import Event, StudyHaltedError, TrialEnded, TrialStarted
from fashion_hpo.stores.ledger import Attempt, Result
from tests.conftest import OpenSession
from tests.plans import TINY, design


class Played:
    """An engine whose workers live the written lives in turn: trials that end, then an end."""

    def __init__(self, *lives: tuple[int, Ended | Failed]) -> None:
        self.lives = iter(lives)
        self.starts: list[Start] = []
        self.stopped = False

    def start(self, start: Start) -> None:
        self.starts.append(start)

    def told(self, signals: StopSignals) -> Iterator[tuple[int, Event | Failed | Ended]]:
        trials, end = next(self.lives)
        number = self.starts[-1].number
        for trial in range(trials):
            attempt = Attempt(trial, f"uid-{trial}", "point", TINY, {}, 0, 1, promoted=False)
            yield number, TrialStarted(attempt, "trial", number)
            yield number, TrialEnded(attempt, Result("complete", value=0.5))
        yield number, end

    def stop(self) -> None:
        self.stopped = True


KILLED, LOST, DONE = Ended("SIGKILL"), Ended("its node", lost=True), Ended()


def test_a_worker_that_dies_twice_leaves_what_both_have_not_done(open_here: OpenSession) -> None:
    engine = Played((1, KILLED), (2, KILLED), (2, DONE))
    events = list(team.work(engine, open_here(design()), 1, max_trials=5))
    assert [start.max_trials for start in engine.starts] == [5, 4, 2]
    assert sum(isinstance(event, TrialEnded) for event in events) == 5
    assert engine.stopped


def test_lost_machines_are_replaced_without_end(open_here: OpenSession) -> None:
    engine = Played(*[(0, LOST)] * 10, (1, DONE))
    events = list(team.work(engine, open_here(design()), 1))
    assert events.count(WorkerDied(0, "its node")) == 10


def test_three_deaths_halt_and_a_refusal_at_once(open_here: OpenSession) -> None:
    session = open_here(design())
    for lives, why in (
        ([(0, KILLED), (0, LOST), (0, KILLED), (0, KILLED)], "3 workers died, the last by SIGKILL"),
        ([(0, Failed("another version"))], "another version"),
    ):
        engine = Played(*lives)
        with pytest.raises(StudyHaltedError, match=why):
            list(team.work(engine, session, 1))
        assert engine.stopped
        assert len(engine.starts) == len(lives)
