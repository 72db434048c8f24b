"""Make a finished training's files and result: write, verify and hash the files."""

import time
import traceback
from dataclasses import asdict
from pathlib import Path

import numpy as np

from fashion_hpo.design.config import SEEDED, field_names
from fashion_hpo.design.scores import accuracy
from fashion_hpo.design.sentences import shortened
from fashion_hpo.design.summaries import curve_summaries, energy_summary, finite
from fashion_hpo.files.audit import wrote
from fashion_hpo.running.documents import write_documents
from fashion_hpo.running.session import Session
from fashion_hpo.stores.exports import exported
from fashion_hpo.stores.layout import without_password
from fashion_hpo.stores.ledger import Attempt, Result
from fashion_hpo.stores.model_files import file_hashes
from fashion_hpo.training import memory, packaging
from fashion_hpo.training.architectures import parameter_count
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.packaging import ServedClassifier
from fashion_hpo.training.state import TrainingState

NOT_KEPT = "not kept: an earlier trial of its level or search did as well; the study keeps the best"

LONGEST_TRACEBACK = 4000  # characters


class AlteredModelError(RuntimeError):
    """The exported model differs from the trained model."""


def finish(session: Session, attempt: Attempt, state: TrainingState, *, pruned: bool) -> Result:
    """Write, verify and hash the trial's files; return its result."""
    history = [asdict(epoch) for epoch in state.history]
    summaries = finite(curve_summaries(state.history)) | energy_summary(state.joules)
    if state.history[-1].diverged:
        reason = f"a loss was not finite in epoch {len(history)}"
        return Result(
            "diverged",
            reason=reason,
            history=history,
            summaries=summaries,
            hardware=_described(state),
        )
    folder = session.store.trial_folder(attempt.uid)
    began = time.perf_counter()
    model = packaging.served(
        state.model,
        attempt.config.pixel_range,
        channels_last=state.hardware.served_channels_last,
    )
    val = session.splits.of(attempt.config.fold).val
    described = _described(state)
    labels, info = val.labels.numpy(), session.splits.info
    probabilities = None
    if session.ledger.plan.spec.models == "best":
        probabilities = packaging.probabilities_of(model, val.images)
    if probabilities is None or _leads(session, attempt, accuracy(probabilities, labels)):
        probabilities = _written(session, attempt, model, folder / "model")
    else:
        described["model"] = NOT_KEPT
    summaries["export_seconds"] = time.perf_counter() - began
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    summaries |= write_documents(folder / "files", probabilities, logits, labels, info)
    summaries["parameters"] = float(parameter_count(state.model))
    summaries["flops"] = float(packaging.flops(state.model, session.splits.info))
    if "latency" in session.ledger.plan.measured:
        summaries["latency"] = packaging.latency(model, info=session.splits.info)
    summaries["kept_epoch"] = float(state.kept_epoch)
    last = state.history[-1]
    # A design compares the last epoch of a fixed number; a search compares the exported model.
    of_model = session.ledger.plan.searched is not None or attempt.config.early_stopping_patience
    return Result(
        outcome="pruned" if pruned else "complete",
        value=summaries["model_val_accuracy"] if of_model else last.val_accuracy,
        history=history,
        summaries=summaries,
        files=file_hashes(folder),
        hardware=described,
    )


def _described(state: TrainingState) -> dict[str, str]:
    """The hardware, and whether micro-batches changed the training."""
    described, micro_batch = state.described(), state.hardware.micro_batch
    if micro_batch is not None and memory.depends_on_batch(state.model):
        described["not_comparable"] = f"batch normalisation over {micro_batch} images"
    return described


def failure(error: Exception, hardware: Hardware) -> Result:
    """The result of a trial that an exception ended."""
    lines = str(error).splitlines() or [""]
    return Result(
        "failed",
        reason=shortened(without_password(f"{type(error).__name__}: {lines[0]}"), 500),
        traceback=_last_lines(without_password("".join(traceback.format_exception(error)))),
        hardware=hardware.describe(),
    )


def _last_lines(text: str) -> str:
    """The last whole lines of a traceback, because MLflow's tags hold 8,000 characters."""
    if len(text) <= LONGEST_TRACEBACK:
        return text
    return f"…\n{text[-LONGEST_TRACEBACK:].partition(chr(10))[2]}"


def _leads(session: Session, attempt: Attempt, reached: float) -> bool:
    """Whether no trial of the attempt's level, or of its search, ranks above this accuracy yet."""
    level = None if session.ledger.plan.search else _level(attempt)
    return not any(
        (entry.result.summaries["model_val_accuracy"], -entry.attempt.number)
        > (reached, -attempt.number)
        for entry in session.ledger.ranked()  # a model that is not compared replaces none
        if entry.result is not None and (level is None or _level(entry.attempt) == level)
    )


def _level(attempt: Attempt) -> dict[str, object]:
    """The config fields that the seeds of one point share."""
    return {name: getattr(attempt.config, name) for name in field_names() if name not in SEEDED}


def _written(
    session: Session, attempt: Attempt, model: ServedClassifier, folder: Path
) -> np.ndarray:
    """Export, reload and compare the model; returns the reloaded model's probabilities.

    All summaries then measure the exported float32 model, not the network in memory.
    """
    splits = session.splits
    example = splits.val.images[:2].numpy()  # of all folds the same, so that they share a program
    images = splits.of(attempt.config.fold).val.images
    metadata = {
        **splits.info.of_model(),
        "point": attempt.point,
        "config": attempt.config.to_dict(),
    }
    with exported(model, folder, example, metadata) as reloaded:
        wrote("model written")
        if differences := packaging.differences(reloaded, model, images):
            raise AlteredModelError(
                f"the exported model is not the trained one: {'; '.join(differences)}"
            )
        return packaging.probabilities_of(reloaded, images)
