"""One trial from claim to mirror, in the write order that a kill at any moment cannot break.

lock → run → params → per epoch {checkpoint → metrics → report} → model and summaries written here,
hashed, reloaded, compared → result in the ledger (the commit point) → tell → mirror → local files
removed.
"""

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from fashion_hpo.design.config import Epoch
from fashion_hpo.running.documents import write_documents
from fashion_hpo.running.session import Session
from fashion_hpo.stores.ledger import Attempt, Ledger, Result
from fashion_hpo.stores.models import file_hashes, read_model, write_model
from fashion_hpo.training import packaging
from fashion_hpo.training.architectures import build_for, parameter_count
from fashion_hpo.training.data import CLASSES
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.summaries import curve_summaries, finite
from fashion_hpo.training.train import train


class AlteredModelError(RuntimeError):
    """A model that was read back is not the one that was measured."""


def run_trial(session: Session, attempt: Attempt) -> Generator[Epoch, None, Result]:
    """Train a claimed point and commit its result; yields each epoch once it is safe.

    The caller holds the trial's lock.  A point with a checkpoint goes on from it.  Raises Stopped,
    with nothing half done, if a signal came while training.
    """
    run_id = open_run(session, attempt)
    hardware = session.hardware_for(attempt)
    checkpoint = session.store.checkpoint(session.ledger.uid, attempt.point)
    try:
        state = _start(attempt, hardware, checkpoint)
        session.tracker.log_epochs(run_id, state.history)
        for epoch in state.history:  # of an earlier attempt at this point
            session.ledger.report(attempt, epoch.epoch, epoch.val_accuracy)
        epochs = train(attempt.config, state.model, session.splits, hardware, start=state)
        pruned = False
        while (done := _next(session, epochs)) is not None:
            state.save(checkpoint)
            session.tracker.log_epochs(run_id, [done])
            pruned = not done.diverged and session.ledger.report(
                attempt, done.epoch, done.val_accuracy
            )
            yield done
            if pruned:
                break
        result = finish(session, attempt, state, hardware, pruned=pruned)
    except (RuntimeError, MemoryError) as error:  # torch's failures, out of memory among them
        result = Result("failed", reason=_one_line(error))
    session.ledger.commit(attempt, result)
    session.ledger.tell(attempt, result)
    mirror(session, attempt, result)
    return result


def close_unfinished(session: Session, attempt: Attempt, outcome: str, reason: str) -> None:
    """End an attempt that has no result; its point waits again and its checkpoint stays."""
    result = Result(outcome, reason=reason)
    session.ledger.commit(attempt, result)
    session.ledger.tell(attempt, result)
    session.ledger.requeue(attempt)
    mirror(session, attempt, result)


def open_run(session: Session, attempt: Attempt) -> str:
    """The attempt's MLflow run, looked up by its uid before it is made."""
    return session.tracker.trial_run(
        attempt.uid,
        session.study_run,
        name=run_name(session.ledger, attempt),
        params=attempt.config.to_dict(),
        tags={
            "point": attempt.point,
            "attempt": str(attempt.attempt),
            "seed_index": str(attempt.seed_index),
            "ledger": session.ledger.name,
            **session.hardware_for(attempt).describe(),
        },
        data_hash=session.ledger.data_hash,
    )


def run_name(ledger: Ledger, attempt: Attempt) -> str:
    """What varies, for people: `dropout=0.25 seed 0`."""
    names = [*ledger.plan.scientific, *attempt.params]
    varied = " ".join(
        f"{name}={_short(getattr(attempt.config, name))}" for name in dict.fromkeys(names)
    )
    return f"{varied} seed {attempt.seed_index}"


def finish(
    session: Session, attempt: Attempt, state: TrainingState, hardware: Hardware, *, pruned: bool
) -> Result:
    """Write, prove and hash the trial's files; say what the trial came to."""
    history = [asdict(epoch) for epoch in state.history]
    summaries = finite(curve_summaries(state.history))
    if state.history[-1].diverged:
        reason = f"a loss was not finite in epoch {len(history)}"
        return Result("diverged", None, reason, history, summaries, {}, hardware.describe())
    folder = session.store.trial_folder(attempt.uid)
    began = time.perf_counter()
    probabilities, logits = _write_model(session, attempt, state, folder / "model")
    summaries["export_seconds"] = time.perf_counter() - began
    summaries |= write_documents(
        folder / "files", probabilities, logits, session.splits.val.labels.numpy()
    )
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
        hardware=hardware.describe(),
    )


def mirror(session: Session, attempt: Attempt, result: Result) -> None:
    """Complete the trial's run from its result; may be done again.  Local files go last."""
    run_id = open_run(session, attempt)
    history = [Epoch(**values) for values in result.history]
    session.tracker.log_epochs(run_id, history)
    if history:
        last = history[-1]
        session.tracker.log_summaries(run_id, result.summaries, last.epoch, last.timestamp)
    folder = session.store.trial_folder(attempt.uid)
    if result.files and folder.is_dir():  # a failed trial's files are proven to be nothing
        session.tracker.log_files(run_id, folder / "files")
        epoch = int(result.summaries["kept_epoch"])
        session.tracker.log_model(run_id, attempt.uid, folder / "model", epoch)
    if result.value is not None:
        session.tracker.log_summaries(
            run_id, {"value": result.value}, history[-1].epoch, history[-1].timestamp
        )
    statuses = {"complete": "FINISHED", "pruned": "FINISHED", "stopped": "KILLED", "died": "KILLED"}
    tags = {"outcome": result.outcome} | ({"reason": result.reason} if result.reason else {})
    session.tracker.end_run(run_id, statuses.get(result.outcome, "FAILED"), tags)
    session.store.remove_trial_files(attempt.uid)
    if result.outcome == "complete":
        session.store.checkpoint(session.ledger.uid, attempt.point).unlink(missing_ok=True)


def _next(session: Session, epochs: Iterator[Epoch]) -> Epoch | None:
    with session.signals.interruptible():  # a signal ends the training step, never a write
        return next(epochs, None)


def _start(attempt: Attempt, hardware: Hardware, checkpoint: Path) -> TrainingState:
    torch.set_num_threads(hardware.threads)
    state = TrainingState(attempt.config, build_for(attempt.config), hardware)
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
    reloaded = read_model(str(folder))
    if found := packaging.differences(reloaded, measured, images):
        raise AlteredModelError(f"the exported model is not the trained one: {'; '.join(found)}")
    probabilities = packaging.probabilities_of(reloaded, images)
    return probabilities, np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:500]


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
