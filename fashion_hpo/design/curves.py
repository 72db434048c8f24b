"""The formulas of the measures that a finished training's epochs decide.

Each takes the epochs in order; there is at least one.
"""

import math
from collections.abc import Sequence

import numpy as np

from fashion_hpo.design.config import Epoch

RISE = 1.02  # a validation loss 2 % above its lowest has parted


def best_val_accuracy(history: Sequence[Epoch]) -> float:
    """The highest validation accuracy of any epoch."""
    return max(epoch.val_accuracy for epoch in history)


def best_epoch(history: Sequence[Epoch]) -> float:
    """The first epoch with the highest validation accuracy."""
    return float(max(history, key=lambda epoch: epoch.val_accuracy).epoch)


def generalization_gap(history: Sequence[Epoch]) -> float:
    """Validation loss less training loss (evaluation mode) after the last epoch."""
    return history[-1].val_loss - history[-1].train_eval_loss


def parting_epoch(history: Sequence[Epoch]) -> float:
    """The epoch of the lowest smoothed validation loss, if the losses part after it.

    They part if the smoothed validation loss later rises by more than 2 % while the training
    loss (evaluation mode) is lower than it was; if they do not, the answer is epochs + 1.
    Smoothed is the mean of each epoch and its neighbours.
    """
    val = smoothed([epoch.val_loss for epoch in history])
    train = smoothed([epoch.train_eval_loss for epoch in history])
    lowest = int(np.argmin(val))
    parted = (val[lowest:] > RISE * val[lowest]) & (train[lowest:] < train[lowest])
    return float(lowest + 1 if parted.any() else len(history) + 1)


def accuracy_fall(history: Sequence[Epoch]) -> float:
    """The highest smoothed validation accuracy less that at the end.

    Smoothed, because the best of many epochs is partly luck.
    """
    values = smoothed([epoch.val_accuracy for epoch in history])
    return float(values.max() - values[-1])


def smoothed(values: Sequence[float]) -> np.ndarray:
    """Each value's mean with its neighbours; at the ends, with the one it has."""
    sums = np.convolve(values, np.ones(3))[1:-1]
    counts = np.convolve(np.ones(len(values)), np.ones(3))[1:-1]
    return sums / counts


def roughness(history: Sequence[Epoch]) -> float:
    """Standard deviation of the second differences of the validation accuracy in the last half.

    NaN if that half has fewer than four epochs, and so fewer than two second differences.
    """
    return _roughness([epoch.val_accuracy for epoch in history])


def loss_roughness(history: Sequence[Epoch]) -> float:
    """The same of the validation loss."""
    return _roughness([epoch.val_loss for epoch in history])


def _roughness(values: Sequence[float]) -> float:
    half = np.asarray(values)[len(values) // 2 :]
    return float(np.diff(half, n=2).std()) if len(half) >= 4 else math.nan


def area_above_curve(history: Sequence[Epoch]) -> float:
    """Mean of 1 − validation accuracy over the epochs.

    It is the area between the learning curve and 1, an epoch being 1 / epochs wide: small where the
    accuracy is high early and stays high.
    """
    return float(1 - np.mean([epoch.val_accuracy for epoch in history]))
