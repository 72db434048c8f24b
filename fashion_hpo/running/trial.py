"""One trial from claim to mirror, in the write order that a kill at any moment cannot break.

lock → run → params → per epoch {checkpoint → metrics → report} → model and summaries written here,
hashed, reloaded, compared → result in the ledger (the commit point) → tell → mirror → local files
removed.  Every write is followed by an audit event, `fashion_hpo.write` (see `sys.audit`), where
tests kill the process.
"""

import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from optuna.exceptions import OptunaError
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import Epoch
from fashion_hpo.running.backbones import backbone_file
from fashion_hpo.running.documents import write_documents
from fashion_hpo.running.session import Session
from fashion_hpo.stores.layout import without_password
from fashion_hpo.stores.ledger import Attempt, LostClaimError, Result
from fashion_hpo.stores.models import file_hashes, read_model, write_model
from fashion_hpo.training import memory, packaging
from fashion_hpo.training.architectures import CLASSICAL, build_for, parameter_count
from fashion_hpo.training.data import CLASSES
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.summaries import curve_summaries, finite
from fashion_hpo.training.train import train

Trained = Generator[Epoch, None, Result]
NOT_THE_TRIALS_FAULT = (OptunaError, SQLAlchemyError, LostClaimError, OSError)
"""What ends the study instead, with the attempt to be closed and repeated at the next start."""


class AlteredModelError(RuntimeError):
    """A model that was read back is not the one that was measured."""


def run_trial(session: Session, attempt: Attempt) -> Generator[Epoch, None, Result]:
    """Train a claimed point and commit its result; yields each epoch once it is safe.

    The caller holds the trial's lock.  A point with a checkpoint goes on from it; one that is too
    large for the memory is tried again in smaller pieces, once.  Raises Stopped, with nothing half
    done, if a signal came while training, and what the stores raise.
    """
    hardware = session.hardware.at(attempt.config.precision)
    session.mirror.begin(attempt, hardware)
    try:
        result = yield from _way(attempt)(session, attempt, hardware)
    except NOT_THE_TRIALS_FAULT:
        raise
    except Exception as error:  # one trial's failure, whatever it is, must not end the others
        session.store.check_space()  # torch reports a full disk as a RuntimeError
        result = failure(error, hardware)
    session.ledger.close(attempt, result)
    session.mirror.complete(attempt, result)
    return result


def close_unfinished(session: Session, attempt: Attempt, outcome: str, reason: str) -> None:
    """End an attempt that has no result; its point waits again and its checkpoint stays."""
    result = Result(outcome, reason=reason)
    session.ledger.close(attempt, result)
    session.ledger.requeue(attempt)
    session.mirror.complete(attempt, result)


def failure(error: Exception, hardware: Hardware) -> Result:
    """The result of a trial that an exception ended."""
    told = str(error).splitlines() or [""]
    return Result(
        "failed",
        reason=without_password(f"{type(error).__name__}: {told[0]}")[:500],
        traceback=without_password("".join(traceback.format_exception(error)))[-4000:],
        hardware=hardware.describe(),
    )


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
    for epoch in state.history:  # of an earlier attempt at this point
        ledger.report(attempt, epoch.epoch, epoch.val_accuracy)
    epochs = train(attempt.config, state.model, session.splits, hardware, start=state)
    pruned = False
    while not pruned and (done := _next(session, epochs)) is not None:
        state.save(checkpoint)
        mirror.log(attempt, [done])
        if not done.diverged:
            pruned = ledger.report(attempt, done.epoch, done.val_accuracy)
        yield done
    return finish(session, attempt, state, hardware, pruned=pruned)


def finish(
    session: Session, attempt: Attempt, state: TrainingState, hardware: Hardware, *, pruned: bool
) -> Result:
    """Write, prove and hash the trial's files; say what the trial came to."""
    history = [asdict(epoch) for epoch in state.history]
    summaries = finite(curve_summaries(state.history))
    if state.history[-1].diverged:
        reason = f"a loss was not finite in epoch {len(history)}"
        return Result(
            "diverged",
            reason=reason,
            history=history,
            summaries=summaries,
            hardware=_described(hardware, state),
        )
    folder = session.store.trial_folder(attempt.uid)
    began = time.perf_counter()
    probabilities, logits = _write_model(session, attempt, state, folder / "model")
    summaries["export_seconds"] = time.perf_counter() - began
    summaries |= write_documents(
        folder / "files", probabilities, logits, session.splits.val.labels.numpy()
    )
    sys.audit("fashion_hpo.write", "documents written")
    summaries["parameters"] = float(parameter_count(state.model))
    summaries["flops"] = float(packaging.flops(state.model))
    summaries["kept_epoch"] = float(state.kept_epoch)
    last = state.history[-1]
    # A design compares the last epoch of a fixed number; a search the model that is kept.
    of_model = session.ledger.plan.search is not None or attempt.config.early_stopping_patience
    return Result(
        outcome="pruned" if pruned else "complete",
        value=summaries["model_val_accuracy"] if of_model else last.val_accuracy,
        history=history,
        summaries=summaries,
        files=file_hashes(folder),
        hardware=_described(hardware, state),
    )


def _described(hardware: Hardware, state: TrainingState) -> dict[str, str]:
    """The hardware, and whether training in pieces made this another experiment."""
    told = hardware.describe()
    if hardware.micro_batch is not None and memory.depends_on_batch(state.model):
        told["not_comparable"] = f"batch normalisation over {hardware.micro_batch} images"
    return told


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
    if checkpoint.exists():
        state.load(checkpoint)
    return state


def _write_model(
    session: Session, attempt: Attempt, state: TrainingState, folder: Path
) -> tuple[np.ndarray, np.ndarray]:
    """Export, reload and compare; the reloaded model's probabilities and log-probabilities.

    What is measured from here on is the artifact itself, in float32, not the network in memory.
    """
    measured = packaging.served(state.model, attempt.config.pixel_range)
    images = session.splits.val.images
    metadata = {
        "classes": list(CLASSES),
        "point": attempt.point,
        "config": attempt.config.to_dict(),
    }
    write_model(measured, folder, images[:2].numpy(), metadata)
    sys.audit("fashion_hpo.write", "model written")
    reloaded = read_model(str(folder))
    if found := packaging.differences(reloaded, measured, images):
        raise AlteredModelError(f"the exported model is not the trained one: {'; '.join(found)}")
    probabilities = packaging.probabilities_of(reloaded, images)
    return probabilities, np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
