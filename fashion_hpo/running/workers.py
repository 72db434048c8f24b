"""One worker: claims points and trains them until none is left; yields events.

A worker may train several trials at once, which take turns after every optimizer step: no result
depends on that.  On a GPU each queues its operations on a stream of its own, so that they run at
the same time.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace

from fashion_hpo.design.config import Epoch
from fashion_hpo.files.audit import wrote
from fashion_hpo.running.mirror import run_name
from fashion_hpo.running.session import Session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.trial import CrowdedError, Trained, close_unfinished, run_trial
from fashion_hpo.stores.ledger import Attempt, LostClaimError, NoConfigError, Result
from fashion_hpo.training.streams import stream

FAILURES_IN_A_ROW = 3


class StudyHaltedError(RuntimeError):
    """The study stops: consecutive trials failed, or a search found no valid config."""


@dataclass(frozen=True)
class TrialStarted:
    """A point was claimed."""

    attempt: Attempt
    name: str
    worker: int = 0


@dataclass(frozen=True)
class EpochDone:
    """An epoch is stored in checkpoint, mirror and ledger."""

    attempt: Attempt
    epoch: Epoch


@dataclass(frozen=True)
class TrialEnded:
    """A trial's result is committed; `away` says why MLflow does not have it ("": it does)."""

    attempt: Attempt
    result: Result
    away: str = ""


Event = TrialStarted | EpochDone | TrialEnded


@dataclass
class _UnderWay:
    """A claimed trial, which holds its lock and renews its lease."""

    attempt: Attempt
    held: ExitStack
    training: Trained
    stream: AbstractContextManager[object]

    def turn(self) -> Epoch | None:
        """Train for one optimizer step, or end an epoch; raises StopIteration with the result."""
        with self.stream:
            return next(self.training)

    def stop(self) -> None:
        """Train no more."""
        with self.stream:
            self.training.close()

    def leave(self) -> None:
        """Free the trial's memory, lock and lease."""
        self.stop()
        self.held.close()


def work(
    session: Session,
    *,
    max_trials: int | None = None,
    timeout: float | None = None,
    worker: int = 0,
    side_by_side: int = 1,
) -> Iterator[Event]:
    """Run points until none is left, `max_trials` are done or `timeout` seconds are over.

    `side_by_side` trials take turns after every optimizer step.  The running trials at the time-out
    are closed; the next start resumes them from their checkpoints.  Raises Stopped after a signal,
    and StudyHaltedError after three consecutive failures or if a search finds no valid config.
    """
    if side_by_side > 1:
        hardware = replace(session.hardware, side_by_side=side_by_side)
        session = replace(session, hardware=hardware)
    deadline = None if timeout is None else time.monotonic() + timeout
    shift = _Shift(session, worker, side_by_side, max_trials, deadline)
    try:
        yield from shift.work()
    except Stopped as stopped:
        shift.close(f"by {stopped}")
        raise
    except StudyHaltedError:
        shift.close("the study halted")
        raise
    finally:
        shift.leave()


class _Shift:
    """The trials that one worker has under way, and how many it has done."""

    def __init__(
        self,
        session: Session,
        worker: int,
        side_by_side: int,
        max_trials: int | None,
        deadline: float | None,
    ) -> None:
        self._session = session
        self._worker = worker
        self._side_by_side = side_by_side
        self._max_trials = max_trials
        self._deadline = deadline
        self._turns: deque[_UnderWay] = deque()  # the first has the next turn
        self._crowded: list[_UnderWay] = []  # memory ran out beside others: each goes on alone
        self._alone = side_by_side == 1  # whether the trial under way is the only one
        self._done = self._failures = 0
        device = session.hardware.device
        self._streams: list[AbstractContextManager[object]] = [  # of the free places
            stream(device) if side_by_side > 1 else nullcontext() for _ in range(side_by_side)
        ]

    def work(self) -> Iterator[Event]:
        """Give the trials turns, and claim one for each free place."""
        may_have_points = True
        while True:
            while may_have_points and self._has_room():
                self._session.signals.check()
                if (started := self._start()) is None:
                    may_have_points = False
                else:
                    yield started
            if not self._turns and not self._crowded:
                return
            if not self._turns:
                self._turns.append(self._crowded.pop())
                self._alone = True
            before = self._done
            yield from self._turn()
            may_have_points |= self._done > before

    def close(self, reason: str) -> None:
        """End all trials under way; their points are enqueued again and keep their checkpoints."""
        while trial := self._next_to_leave():
            self._stop(trial, reason)

    def leave(self) -> None:
        """Release all trials, as at the death of this process."""
        while trial := self._next_to_leave():
            self._leave(trial)

    def _leave(self, trial: _UnderWay) -> None:
        trial.leave()
        self._streams.append(trial.stream)

    def _next_to_leave(self) -> _UnderWay | None:
        return next((trials.pop() for trials in (self._turns, self._crowded) if trials), None)

    def _has_room(self) -> bool:
        if self._crowded or (self._alone and self._turns) or _past(self._deadline):
            return False
        under_way = len(self._turns)
        return under_way < self._side_by_side and self._done + under_way != self._max_trials

    def _start(self) -> TrialStarted | None:
        session = self._session
        if (claimed := _claim(session)) is None:
            return None
        attempt, held = claimed
        held.enter_context(session.ledger.alive(attempt))
        self._alone = self._side_by_side == 1
        training = run_trial(session, attempt, alone=self._alone)
        self._turns.append(_UnderWay(attempt, held, training, self._streams.pop()))
        return TrialStarted(attempt, run_name(session.ledger, attempt), self._worker)

    def _turn(self) -> Iterator[Event]:
        """Train the next trial for one optimizer step; yields its events."""
        trial = self._turns[0]
        try:
            epoch = trial.turn()
        except StopIteration as ended:
            yield from self._end(ended.value)
        except CrowdedError:
            self._turns.popleft()
            trial.training = run_trial(self._session, trial.attempt, alone=True)
            self._crowded.append(trial)
        except LostClaimError as lost:  # another worker has the point now
            self._remove_files(trial.attempt)
            yield from self._end(Result("died", reason=str(lost)))
        else:
            self._turns.rotate(-1)
            if epoch is None:
                return
            yield EpochDone(trial.attempt, epoch)
            if _past(self._deadline) and epoch.epoch < trial.attempt.config.epochs:
                self._turns.remove(trial)
                self._stop(trial, "the time given was over")
                self._done += 1

    def _end(self, result: Result) -> Iterator[Event]:
        trial = self._turns.popleft()
        self._leave(trial)
        self._done += 1
        yield TrialEnded(trial.attempt, result, self._session.mirror.away)
        self._failures = self._failures + 1 if result.outcome == "failed" else 0
        if self._failures == FAILURES_IN_A_ROW:
            raise StudyHaltedError(
                f"{self._failures} trials in a row failed, the last with {result.reason}; mend "
                "that and run the same command again."
            )

    def _stop(self, trial: _UnderWay, reason: str) -> None:
        trial.stop()
        try:
            close_unfinished(self._session, trial.attempt, "stopped", reason)
        except LostClaimError:
            self._remove_files(trial.attempt)
        finally:
            self._leave(trial)

    def _remove_files(self, attempt: Attempt) -> None:
        self._session.store.remove_trial_files(attempt.uid)
        self._session.store.remove_logits(attempt.uid)


def promote(session: Session) -> int:
    """Enqueue the pruned points that a search resumes; see `Ledger.promote`."""
    with session.store.lock("claim"):
        return session.ledger.promote()


def _claim(session: Session) -> tuple[Attempt, ExitStack] | None:
    """A point to train, and its lock; None if there is none."""
    with session.store.lock("claim"):  # a running trial whose lock is free counts as dead
        try:
            attempt = session.ledger.claim()
        except NoConfigError as error:
            raise StudyHaltedError(str(error)) from None
        if attempt is None:
            return None
        held = ExitStack()
        held.enter_context(session.store.trial_lock(attempt.uid))
        wrote("trial locked")
        return attempt, held


def _past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline
