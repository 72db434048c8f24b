"""What a study is like before it has an answer: made by calls of its ledger, without training."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial

from fashion_hpo.design.config import Epoch
from fashion_hpo.design.summaries import curve_summaries, finite
from fashion_hpo.stores.ledger import Attempt, Ledger, Result

HARDWARE = {"device": "cpu", "device_name": "cpu", "precision": "fp32", "channels_last": "True",
            "threads": "1"}  # fmt: skip


def result(outcome: str, attempt: Attempt) -> Result:
    """What an attempt could have come to; no trial of these keeps a model."""
    if outcome == "failed":
        return Result(outcome, reason="RuntimeError: x", traceback="in x", hardware=HARDWARE)
    epochs = [an_epoch(number + 1) for number in range(attempt.config.epochs)]
    if outcome == "diverged":
        epochs = [an_epoch(1, val_loss=float("nan"))]
        return _result(outcome, None, epochs, {})
    if outcome == "pruned":
        epochs = epochs[:1]
    accuracy, loss = epochs[-1].val_accuracy, epochs[-1].val_loss
    kept = {"kept_epoch": float(len(epochs)), "parameters": 100.0, "flops": 1000.0, "ece": 0.1}
    kept |= {"model_val_accuracy": accuracy, "model_val_loss": loss}
    return _result(outcome, accuracy, epochs, kept)


def no_trial(ledger: Ledger) -> None:
    """The study was begun, and nothing was claimed."""


def running(ledger: Ledger) -> None:
    """One trial is claimed; the others of a design wait."""
    assert ledger.claim() is not None


def stopped(ledger: Ledger) -> None:
    """One attempt was stopped, and its point waits again."""
    attempt = _claimed(ledger)
    ledger.close(attempt, Result("stopped", reason="by SIGINT"))
    ledger.requeue(attempt)


def all_ended(outcome: str, ledger: Ledger) -> None:
    """Every trial came to this."""
    while (attempt := ledger.claim()) is not None:
        ledger.close(attempt, result(outcome, attempt))


def one_complete(ledger: Ledger) -> None:
    """One trial is complete, and no other was claimed."""
    attempt = _claimed(ledger)
    ledger.close(attempt, result("complete", attempt))


def one_level(others: str, ledger: Ledger) -> None:
    """The trials like the first one are complete; all others came to something else."""
    first = None
    while (attempt := ledger.claim()) is not None:
        first = attempt if first is None else first
        alike = attempt.config.dropout == first.config.dropout
        ledger.close(attempt, result("complete" if alike else others, attempt))


STATES: Mapping[str, Callable[[Ledger], None]] = {
    "no trial": no_trial,
    "one trial running": running,
    "one attempt stopped": stopped,
    "all failed": partial(all_ended, "failed"),
    "all diverged": partial(all_ended, "diverged"),
    "all pruned": partial(all_ended, "pruned"),
    "one trial complete": one_complete,
    "one level, others failed": partial(one_level, "failed"),
    "one level, others diverged": partial(one_level, "diverged"),
    "all complete": partial(all_ended, "complete"),
}


def _claimed(ledger: Ledger) -> Attempt:
    attempt = ledger.claim()
    assert attempt is not None
    return attempt


def _result(
    outcome: str, value: float | None, epochs: list[Epoch], summaries: Mapping[str, float]
) -> Result:
    return Result(
        outcome,
        value=value,
        history=[asdict(epoch) for epoch in epochs],
        summaries={**finite(curve_summaries(epochs)), **summaries},
        hardware=HARDWARE,
    )


def an_epoch(number: int, val_loss: float = 0.5) -> Epoch:
    return Epoch(
        epoch=number,
        train_loss=1.0 / number,
        train_eval_loss=0.9 / number,
        train_eval_accuracy=0.8,
        val_loss=val_loss,
        val_accuracy=0.7 + 0.01 * number,
        learning_rate=0.01,
        seconds=1.0,
        images_per_second=100.0,
        timestamp=1_700_000_000_000 + number,
    )


def one_epoch(val_accuracy: float) -> list[dict[str, float]]:
    """The history of a trial that ended after its first epoch."""
    return [{**asdict(an_epoch(1)), "val_accuracy": val_accuracy}]
