"""The summaries that a trial logs: the measures of its epochs and of its model's predictions."""

import math
from collections.abc import Sequence

import numpy as np

from fashion_hpo.design.config import Epoch
from fashion_hpo.design.measures import MEASURES


def curve_summaries(history: Sequence[Epoch]) -> dict[str, float]:
    """The measures of the whole curve, by name; raises ValueError for an empty history."""
    if not history:
        raise ValueError("history is empty; a training has at least one epoch.")
    return {
        name: measure.of_curve(history)
        for name, measure in MEASURES.items()
        if measure.of_curve is not None
    }


def model_summaries(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The measures of a model's predictions, by name; probabilities (N, classes), labels (N,)."""
    return {
        name: measure.of_model(probabilities, labels)
        for name, measure in MEASURES.items()
        if measure.of_model is not None
    }


def energy_summary(joules: float | None) -> dict[str, float]:
    """The energy of a trial's epochs, evaluation included; empty where one epoch's is unknown.

    The counters are the machine's (see `training.energy`): they count what runs beside the trial.
    They do not count the export, nor what a dead attempt spent after its last checkpoint.
    """
    return {} if joules is None else {"energy_joules": joules}


def finite(summaries: dict[str, float]) -> dict[str, float]:
    """Without NaN and infinities, which neither JSON nor a database keeps faithfully."""
    return {name: value for name, value in summaries.items() if math.isfinite(value)}
