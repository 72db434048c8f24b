"""One trial from claim to mirror, in the write order that a kill at any moment cannot break.

lock → run → params → per epoch {checkpoint → metrics → report} → model and summaries written here,
hashed, reloaded, compared → logits kept in the store → result in the ledger (the commit point) →
tell → mirror → local files removed.  `files.audit.wrote` follows every write, where tests kill the
process.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import Epoch
from fashion_hpo.files.audit import wrote
from fashion_hpo.running.backbones import backbone_file
from fashion_hpo.running.outcome import failure, finish
from fashion_hpo.running.session import Session
from fashion_hpo.stores.ledger import Attempt, LostClaimError, Result
from fashion_hpo.stores.predictions import HASHED_AS
from fashion_hpo.training import memory
from fashion_hpo.training.architectures import CLASSICAL, build_for
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import train

Trained = Generator[Epoch, None, Result]
NOT_THE_TRIALS_FAULT = (OptunaError, SQLAlchemyError, LostClaimError, OSError)
"""What ends the study instead, with the attempt to be closed and repeated at the next start."""


def run_trial(session: Session, attempt: Attempt) -> Generator[Epoch, None, Result]:
    """Train a claimed point and commit its result; yields each epoch once it is safe.

    The caller holds the trial's lock.  A point with a checkpoint goes on from it; one that is too
    large for the memory is tried again in smaller pieces, once.  Raises Stopped, with nothing half
    done, if a signal came while training, and what the stores raise.
    """
    hardware = session.hardware.at(attempt.config)
    session.mirror.begin(attempt, hardware)
    try:
        result = yield from _way(attempt)(session, attempt, hardware)
    except NOT_THE_TRIALS_FAULT:
        raise
    except Exception as error:  # one trial's failure, whatever it is, must not end the others
        session.store.check_space()  # torch reports a full disk as a RuntimeError
        result = failure(error, hardware)
    _keep_logits(session, attempt, result)
    session.ledger.close(attempt, result)
    session.mirror.complete(attempt, result)
    return result


def close_unfinished(session: Session, attempt: Attempt, outcome: str, reason: str) -> None:
    """End an attempt that has no result; its point waits again and its checkpoint stays."""
    result = Result(outcome, reason=reason)
    session.ledger.close(attempt, result)
    session.ledger.requeue(attempt)
    session.mirror.complete(attempt, result)


def _keep_logits(session: Session, attempt: Attempt, result: Result) -> None:
    """Verdicts rest on them as on the result, so they are there before it, whatever has MLflow."""
    if HASHED_AS in result.files:
        written = session.store.trial_folder(attempt.uid) / HASHED_AS
        session.store.keep_logits(attempt.uid, written.read_bytes())
        wrote("logits kept")


def _way(attempt: Attempt) -> Callable[[Session, Attempt, Hardware], Trained]:
    if attempt.config.architecture not in CLASSICAL:
        return _within_memory
    from fashion_hpo.running.classical import fit  # scikit-learn takes a second to import

    return fit


def _within_memory(
    session: Session, attempt: Attempt, hardware: Hardware
) -> Generator[Epoch, None, Result]:
    try:
        return (yield from _train(session, attempt, hardware))
    except (RuntimeError, MemoryError) as error:
        micro_batch = attempt.config.batch_size // memory.SMALLER
        if not memory.is_exhausted(error) or micro_batch < memory.SMALLEST:
            raise
    memory.release(hardware)
    return (yield from _train(session, attempt, replace(hardware, micro_batch=micro_batch)))


def _train(
    session: Session, attempt: Attempt, hardware: Hardware
) -> Generator[Epoch, None, Result]:
    ledger, mirror = session.ledger, session.mirror
    checkpoint = session.store.checkpoint(ledger.uid, attempt.point)
    state = _start(session, attempt, hardware, checkpoint)
    mirror.log(attempt, state.history)
    pruned = False
    for epoch in state.history:  # of an earlier attempt at this point, which may have died here
        pruned = ledger.report(attempt, epoch.epoch, epoch.val_accuracy)
    epochs = train(state, session.splits)
    while not pruned and (done := _next(session, epochs)) is not None:
        state.save(checkpoint)
        mirror.log(attempt, [done])
        if not done.diverged:
            pruned = ledger.report(attempt, done.epoch, done.val_accuracy)
        yield done
    return finish(session, attempt, state, hardware, pruned=pruned)


def _next(session: Session, epochs: Iterator[Epoch]) -> Epoch | None:
    with session.signals.interruptible():  # a signal ends the training step, never a write
        return next(epochs, None)


def _start(
    session: Session, attempt: Attempt, hardware: Hardware, checkpoint: Path
) -> TrainingState:
    torch.set_num_threads(hardware.threads)
    network = build_for(attempt.config, backbone_file(session, attempt.config))
    state = TrainingState(attempt.config, network, hardware)
    for half in checkpoint.parent.glob(f".{checkpoint.name}.*"):  # an attempt was killed writing it
        half.unlink()
    if (kept := _kept(session, attempt, checkpoint)) is not None:
        state.load(kept)
    return state


def _kept(session: Session, attempt: Attempt, checkpoint: Path) -> Path | None:
    """Where an attempt goes on from: its point's checkpoint, or that of the pruned trial which it
    brings to its end."""
    places = [checkpoint]
    if (confirmed := session.ledger.plan.confirmation) is not None:
        places.append(session.store.checkpoint(confirmed.uid, attempt.point))
    return next((place for place in places if place.exists()), None)
