"""Run several workers of one study, which share only the ledger, and yield their events.

The same command in another terminal is one more worker; this module starts several at once, by an
engine, and replaces those that die.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from fashion_hpo.design.data_set import DataSet
from fashion_hpo.design.plan import Plan
from fashion_hpo.engines.sharing import shares
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session
from fashion_hpo.running.signals import StopSignals
from fashion_hpo.running.workers import Event, StudyHaltedError, TrialEnded, TrialStarted
from fashion_hpo.stores.layout import Store

DEATHS_IN_ALL = 3  # of workers, before the study halts


@dataclass(frozen=True)
class Start:
    """What a worker's process needs to know."""

    number: int
    store: Store
    plan: Plan
    data: Path | DataSet | None
    device: str
    max_trials: int | None
    timeout: float | None
    side_by_side: int = 1


@dataclass(frozen=True)
class WorkerDied:
    """A worker's process was killed or crashed; another worker will train its point."""

    number: int
    reason: str


@dataclass(frozen=True)
class Failed:
    """An error ended a worker, and would end another worker in the same way."""

    reason: str


@dataclass(frozen=True)
class Ended:
    """A worker's process is gone; `cause` is "" after its last trial.

    If it was `lost` with its machine, the cause is not in the study: such deaths are not counted.
    """

    cause: str = ""
    lost: bool = False


class Engine(Protocol):
    """Starts workers, passes on what they tell, and stops them."""

    def start(self, start: Start) -> None:
        """Start a worker, here or elsewhere, now or once there is room."""

    def told(self, signals: StopSignals) -> Iterable[tuple[int, Event | Failed | Ended]]:
        """What workers have told since the last call, by their numbers, in each worker's order.

        Waits for a while if there is nothing.  Each worker's last item is Ended.  Raises Stopped
        after a signal.
        """
        ...

    def stop(self) -> None:
        """Stop all workers, as by SIGTERM, and wait until they have closed their trials."""


@dataclass
class _Member:
    """A worker under way."""

    start: Start
    done: int = 0
    trials: set[str] = field(default_factory=set)  # the uids of those under way

    def note(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            self.trials.add(event.attempt.uid)
        elif isinstance(event, TrialEnded):
            self.trials.discard(event.attempt.uid)
            self.done += 1


def work(
    engine: Engine,
    session: Session,
    count: int,
    *,
    data: Path | DataSet | None = None,
    device: str = "auto",
    max_trials: int | None = None,
    timeout: float | None = None,
    side_by_side: int = 1,
) -> Iterator[Event | WorkerDied]:
    """Run points in `count` workers until none is left; yields the events of all workers.

    Each worker trains `side_by_side` trials at once.  A worker that dies is replaced, and its
    points tried again.  Raises Stopped after a signal, once all workers have stopped;
    StudyHaltedError if a worker raises it or three workers die, lost machines not counted.
    """
    deaths = 0
    plan = session.ledger.plan
    deadline = None if timeout is None else time.monotonic() + timeout
    team: dict[int, _Member] = {}
    try:
        for number, share in enumerate(shares(count, max_trials)):
            start = Start(number, session.store, plan, data, device, share, timeout, side_by_side)
            team[number] = _Member(start)
            engine.start(start)
        while team:
            for number, told in engine.told(session.signals):
                if isinstance(told, Failed):
                    raise StudyHaltedError(told.reason)
                if not isinstance(told, Ended):
                    team[number].note(told)
                    yield told
                    continue
                member = team.pop(number)
                if not told.cause:
                    continue
                deaths += not told.lost
                yield WorkerDied(number, told.cause)
                if deaths == DEATHS_IN_ALL:
                    raise StudyHaltedError(
                        f"{deaths} workers died, the last by {told.cause}; mend that and run the "
                        "same command again."
                    )
                list(reconcile(session.mirror, gone=member.trials))
                if (rest := _rest(member.start, member.done, deadline)) is not None:
                    team[number] = _Member(rest)
                    engine.start(rest)
    finally:
        engine.stop()


def _rest(start: Start, done: int, deadline: float | None) -> Start | None:
    """The work left for the process that replaces a dead worker; None if there is none."""
    trials = None if start.max_trials is None else start.max_trials - done
    seconds = None if deadline is None else deadline - time.monotonic()
    if trials == 0 or (seconds is not None and seconds <= 0):
        return None
    return replace(start, max_trials=trials, timeout=seconds)
