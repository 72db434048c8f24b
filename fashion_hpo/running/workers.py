"""One worker: claims points and trains them until none is left; yields events."""

import time
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from fashion_hpo.design.config import Epoch
from fashion_hpo.files.audit import wrote
from fashion_hpo.running.mirror import run_name
from fashion_hpo.running.session import Session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.trial import close_unfinished, run_trial
from fashion_hpo.stores.ledger import Attempt, LostClaimError, NoConfigError, Result

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


def work(
    session: Session,
    *,
    max_trials: int | None = None,
    timeout: float | None = None,
    worker: int = 0,
) -> Iterator[Event]:
    """Run points until none is left, `max_trials` are done or `timeout` seconds are over.

    The running trial at the time-out is closed; the next start resumes it from its checkpoint.
    Raises Stopped after a signal, and StudyHaltedError after three consecutive failures or if a
    search finds no valid config.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    failures = done = 0
    while done != max_trials and not _past(deadline):
        session.signals.check()
        if (claimed := _claim(session)) is None:
            return
        attempt, held = claimed
        with held, session.ledger.alive(attempt):
            yield TrialStarted(attempt, run_name(session.ledger, attempt), worker)
            result = yield from _run(session, attempt, deadline)
        done += 1
        failures = failures + 1 if result is not None and result.outcome == "failed" else 0
        if failures == FAILURES_IN_A_ROW and result is not None:
            raise StudyHaltedError(
                f"{failures} trials in a row failed, the last with {result.reason}; mend that "
                "and run the same command again."
            )


def promote(session: Session) -> int:
    """Enqueue the pruned points that a search resumes; see `Ledger.promote`."""
    with session.store.lock("claim"):
        return session.ledger.promote()


def _claim(session: Session) -> tuple[Attempt, AbstractContextManager[object]] | None:
    with session.store.lock("claim"):  # a running trial whose lock is free counts as dead
        try:
            attempt = session.ledger.claim()
        except NoConfigError as error:
            raise StudyHaltedError(str(error)) from None
        if attempt is None:
            return None
        held = session.store.trial_lock(attempt.uid).acquire()
        wrote("trial locked")
        return attempt, held  # `with` on the lock itself would acquire it twice


def _run(
    session: Session, attempt: Attempt, deadline: float | None
) -> Generator[Event, None, Result | None]:
    """Yield the trial's events; returns its result, or None if the time ran out first."""
    trial = run_trial(session, attempt)
    try:
        while True:
            try:
                epoch = next(trial)
            except StopIteration as ended:
                result: Result = ended.value
                yield TrialEnded(attempt, result, session.mirror.away)
                return result
            if epoch is None:
                continue
            yield EpochDone(attempt, epoch)
            if _past(deadline) and epoch.epoch < attempt.config.epochs:
                close_unfinished(session, attempt, "stopped", "the time given was over")
                return None
    except Stopped as stopped:
        close_unfinished(session, attempt, "stopped", f"by {stopped}")
        raise
    except LostClaimError as lost:  # another worker has the point now
        session.store.remove_trial_files(attempt.uid)
        session.store.remove_logits(attempt.uid)
        yield TrialEnded(attempt, Result("died", reason=str(lost)))
        return None


def _past(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() > deadline
