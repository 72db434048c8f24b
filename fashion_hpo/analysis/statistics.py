"""Intervals over seeds, and what an interval says of a margin."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student_t

LARGEST_SEED_COUNT = 1_000  # beyond this, more seeds are no answer


class Interval(NamedTuple):
    """A mean and its 95 % interval; the ends are NaN for fewer than two values."""

    mean: float
    low: float
    high: float


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of a mean.  With 3 to 5 seeds a bootstrap would cover far too little.

    Raises ValueError for no values at all.
    """
    array = np.asarray(values, dtype=float)
    if len(array) == 0:
        raise ValueError("values is empty; a mean needs at least one.")
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean, math.nan, math.nan)
    half = half_width(float(array.std(ddof=1)), len(array), confidence)
    return Interval(mean, mean - half, mean + half)


def half_width(deviation: float, count: int, confidence: float = 0.95) -> float:
    """Of the t interval of a mean of `count` values with this standard deviation."""
    quantile = float(student_t.ppf(0.5 + confidence / 2, count - 1))
    return quantile * deviation / math.sqrt(count)


def seeds_to_decide(effects: np.ndarray, margin: float) -> int | None:
    """How many seeds would set the mean effect apart from the margin, if its mean and spread stay
    as they are; None if more than a thousand."""
    distance = abs(float(effects.mean()) - margin)
    deviation = float(effects.std(ddof=1))
    for count in range(len(effects) + 1, LARGEST_SEED_COUNT + 1):
        if half_width(deviation, count) < distance:
            return count
    return None
