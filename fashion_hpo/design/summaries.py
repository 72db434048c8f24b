"""A trial's summaries: measures of its learning curves, of its model and of its energy."""

import math
from collections.abc import Sequence

import numpy as np

from fashion_hpo.design.config import Epoch
from fashion_hpo.design.data_set import DataInfo
from fashion_hpo.design.measures import MEASURES, OF_FASHION_MNIST


def curve_summaries(history: Sequence[Epoch]) -> dict[str, float]:
    """The measures of a trial's learning curves, by name; raises ValueError without epochs."""
    if not history:
        raise ValueError("history is empty; a training has at least one epoch.")
    return {
        name: measure.of_curve(history)
        for name, measure in MEASURES.items()
        if measure.of_curve is not None
    }


def model_summaries(
    probabilities: np.ndarray, labels: np.ndarray, info: DataInfo
) -> dict[str, float]:
    """The measures of a model's predictions, by name; probabilities (N, classes), labels (N,).

    Measures of Fashion-MNIST's classes are left out for other data sets.
    """
    return {
        name: measure.of_model(probabilities, labels)
        for name, measure in MEASURES.items()
        if measure.of_model is not None and (info.is_default or name not in OF_FASHION_MNIST)
    }


def energy_summary(joules: float | None) -> dict[str, float]:
    """The energy of a trial's training and evaluation, as a summary; empty if it is unknown.

    The counters are the machine's (see `training.energy`), so other processes count as well.  The
    export, and the work of a dead attempt after its last checkpoint, are not counted.
    """
    return {} if joules is None else {"energy_joules": joules}


def finite(summaries: dict[str, float]) -> dict[str, float]:
    """The finite summaries: JSON and databases do not store NaN and infinities faithfully."""
    return {name: value for name, value in summaries.items() if math.isfinite(value)}
