"""One number each for a finished training's curves; every formula in one place."""

import math
from collections.abc import Sequence

import numpy as np

from fashion_hpo.design.config import Epoch

RISE = 1.02  # a validation loss 2 % above its lowest has parted


def curve_summaries(history: Sequence[Epoch]) -> dict[str, float]:
    """The summaries that the epochs alone decide, by the name they are logged under.

    Raises ValueError for an empty history.
    """
    if not history:
        raise ValueError("history is empty; a training has at least one epoch.")
    best = max(history, key=lambda epoch: epoch.val_accuracy)
    last = history[-1]
    return {
        "best_val_accuracy": best.val_accuracy,
        "best_epoch": float(best.epoch),
        "generalization_gap": last.val_loss - last.train_eval_loss,
        "parting_epoch": float(parting_epoch(history)),
        "roughness": roughness([epoch.val_accuracy for epoch in history]),
        "area_above_curve": area_above_curve([epoch.val_accuracy for epoch in history]),
    }


def parting_epoch(history: Sequence[Epoch]) -> int:
    """The epoch of the lowest smoothed validation loss, if the losses part after it.

    They part if the smoothed validation loss later rises by more than 2 % while the training
    loss (evaluation mode) is lower than it was; if they do not, the answer is epochs + 1.
    Smoothed is the mean of each epoch and its neighbours.
    """
    val = smoothed([epoch.val_loss for epoch in history])
    train = smoothed([epoch.train_eval_loss for epoch in history])
    lowest = int(np.argmin(val))
    parted = (val[lowest:] > RISE * val[lowest]) & (train[lowest:] < train[lowest])
    return lowest + 1 if parted.any() else len(history) + 1


def smoothed(values: Sequence[float]) -> np.ndarray:
    """Each value's mean with its neighbours; at the ends, with the one it has."""
    sums = np.convolve(values, np.ones(3))[1:-1]
    counts = np.convolve(np.ones(len(values)), np.ones(3))[1:-1]
    return sums / counts


def roughness(values: Sequence[float]) -> float:
    """Standard deviation of the second differences over the last half of a curve.

    NaN where that half has fewer than four values, and so fewer than two differences.
    """
    half = np.asarray(values)[len(values) // 2 :]
    return float(np.diff(half, n=2).std()) if len(half) >= 4 else math.nan


def area_above_curve(accuracies: Sequence[float]) -> float:
    """Mean of 1 − accuracy over the epochs: the area between the learning curve and 1, an epoch
    being 1 / epochs wide.  Small where training is soon and lastingly good."""
    return float(1 - np.mean(accuracies))


def energy_summary(joules: float | None) -> dict[str, float]:
    """The energy of a trial's epochs, evaluation included, as the device's counters have it; empty
    where that of one epoch is not known.

    The counters are the machine's (see `energy`): what runs beside is in it.  What is not: the
    export, and what an attempt that was cut off spent after its last checkpoint.
    """
    return {} if joules is None else {"energy_joules": joules}


def finite(summaries: dict[str, float]) -> dict[str, float]:
    """Without NaN and infinities, which neither JSON nor a database keeps faithfully."""
    return {name: value for name, value in summaries.items() if math.isfinite(value)}
