"""Run one trial from claim to mirror, in a write order that survives a kill at any moment.

lock → run → params → per epoch {checkpoint → metrics → report} → model and summaries written here,
hashed, reloaded, compared → logits kept in the store → result in the ledger (the commit point) →
tell → mirror → local files removed.  `files.audit.wrote` follows every write, where tests kill the
process.
"""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import Epoch
from fashion_hpo.files.audit import wrote
from fashion_hpo.running.backbones import backbone_file
from fashion_hpo.running.handover import Handover
from fashion_hpo.running.outcome import failure, finish
from fashion_hpo.running.session import Session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.stores.ledger import Attempt, LostClaimError, Result
from fashion_hpo.stores.predictions import HASHED_AS
from fashion_hpo.training import memory
from fashion_hpo.training.architectures import CLASSICAL, build_for
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import train

Trained = Generator[Epoch | None, None, Result]
NOT_THE_TRIALS_FAULT = (OptunaError, SQLAlchemyError, LostClaimError, OSError)
"""Errors that end the study; the next start closes the attempt and repeats it."""


class CrowdedError(RuntimeError):
    """Memory ran out while other trials were under way in this process."""


def run_trial(session: Session, attempt: Attempt, *, alone: bool = True) -> Trained:
    """Train a claimed point and commit its result; yields None after each optimizer step, and each
    epoch once it is stored.

    The caller holds the trial's lock.  Training resumes from the point's checkpoint.  A trial that
    exhausts the memory is repeated once, with micro-batches; if it is not `alone` in this process,
    it raises CrowdedError instead, so that the caller can repeat it alone.  Raises Stopped, with no
    write half done, if a signal came while training, and the errors of the stores.
    """
    hardware = session.hardware.at(attempt.config)
    session.mirror.begin(attempt, hardware)
    handover = Handover(session, attempt)
    try:
        if attempt.config.architecture in CLASSICAL:
            result = yield from _fitted(session, attempt, hardware)
        else:
            result = yield from _within_memory(session, attempt, hardware, handover, alone=alone)
    except (*NOT_THE_TRIALS_FAULT, CrowdedError):
        raise
    except Exception as error:  # no failure of one trial may end the others
        session.store.check_space()  # torch reports a full disk as a RuntimeError
        result = failure(error, hardware)
    _keep_logits(session, attempt, result)
    session.ledger.close(attempt, result)
    handover.remove()
    session.mirror.complete(attempt, result)
    return result


def close_unfinished(session: Session, attempt: Attempt, outcome: str, reason: str) -> None:
    """End an attempt without a result; its point is enqueued again and keeps its checkpoint."""
    result = Result(outcome, reason=reason)
    session.ledger.close(attempt, result)
    session.ledger.requeue(attempt)
    session.mirror.complete(attempt, result)


def _keep_logits(session: Session, attempt: Attempt, result: Result) -> None:
    """Store the logits before the result, because verdicts need both, with or without MLflow."""
    if HASHED_AS in result.files:
        written = session.store.trial_folder(attempt.uid) / HASHED_AS
        session.store.keep_logits(attempt.uid, written.read_bytes())
        wrote("logits kept")


def _fitted(session: Session, attempt: Attempt, hardware: Hardware) -> Trained:
    from fashion_hpo.running.classical import fit  # scikit-learn takes a second to import

    return fit(session, attempt, hardware)


def _within_memory(
    session: Session, attempt: Attempt, hardware: Hardware, handover: Handover, *, alone: bool
) -> Trained:
    try:
        return (yield from _train(session, attempt, hardware, handover))
    except (RuntimeError, MemoryError) as error:
        micro_batch = attempt.config.batch_size // memory.SMALLER
        too_small = alone and micro_batch < memory.SMALLEST
        if not memory.is_exhausted(error) or too_small:
            raise
    memory.release(hardware)
    if not alone:
        raise CrowdedError
    hardware = replace(hardware, micro_batch=micro_batch)
    return (yield from _train(session, attempt, hardware, handover))


def _train(session: Session, attempt: Attempt, hardware: Hardware, handover: Handover) -> Trained:
    ledger, mirror = session.ledger, session.mirror
    checkpoint = session.store.checkpoint(ledger.uid, attempt.point)
    handover.fetch()
    state = _start(session, attempt, hardware, checkpoint)
    mirror.log(attempt, state.history)
    pruned = False
    for past in state.history:  # of an earlier attempt, which may have died before it reported
        last = state.finished and past is state.history[-1]
        pruned = ledger.report(attempt, past.epoch, past.val_accuracy, last=last)
    try:
        for epoch in () if pruned else _interruptible(session, train(state, session.splits)):
            if epoch is not None:
                state.save(checkpoint)
                if epoch.epoch < attempt.config.epochs:
                    handover.offer()
                mirror.log(attempt, [epoch])
                if not epoch.diverged:
                    last = state.finished
                    pruned = ledger.report(attempt, epoch.epoch, epoch.val_accuracy, last=last)
            yield epoch
            if pruned:
                break
    except (Stopped, GeneratorExit):
        handover.copy()
        raise
    return finish(session, attempt, state, pruned=pruned)


def _interruptible(session: Session, training: Iterator[Epoch | None]) -> Iterator[Epoch | None]:
    while True:
        with session.signals.interruptible():  # a signal ends the training step, never a write
            try:
                epoch = next(training)
            except StopIteration:
                return
        yield epoch


def _start(
    session: Session, attempt: Attempt, hardware: Hardware, checkpoint: Path
) -> TrainingState:
    torch.set_num_threads(hardware.threads)
    backbone, info = backbone_file(session, attempt.config), session.splits.info
    network = build_for(attempt.config, backbone, info)
    state = TrainingState(attempt.config, network, hardware)
    for partial in checkpoint.parent.glob(f".{checkpoint.name}.*"):  # left by a killed attempt
        partial.unlink()
    if (earlier := _checkpoint_to_resume(session, attempt, checkpoint)) is not None:
        state.load(earlier)
    return state


def _checkpoint_to_resume(session: Session, attempt: Attempt, checkpoint: Path) -> Path | None:
    """The point's own checkpoint, or that of the pruned trial which an audit completes."""
    candidates = [checkpoint]
    if (confirmation := session.ledger.plan.confirmation) is not None:
        candidates.append(session.store.checkpoint(confirmation.uid, attempt.point))
    return next((path for path in candidates if path.exists()), None)
