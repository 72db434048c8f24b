"""The position of a value in its range, and the range to try next."""

import math
from typing import SupportsFloat

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution

from fashion_hpo.design.config import TrainConfig

EDGE = 0.1  # share of a range at each end that counts as the edge


def is_ordered(distribution: BaseDistribution) -> bool:
    """Whether the values are numbers, not choices."""
    return isinstance(distribution, FloatDistribution | IntDistribution)


def place(distribution: BaseDistribution, value: object) -> float | None:
    """The position of a value in its range, 0 to 1, on the scale of the search; None for choices,
    which have no order, and for a range of one value."""
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return None
    assert isinstance(value, SupportsFloat)
    low, high, at = float(distribution.low), float(distribution.high), float(value)
    if distribution.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else None


def edge(distribution: BaseDistribution, value: object) -> str:
    """ "lower" or "upper" for a value in the outer tenth of its range, else ""."""
    at = place(distribution, value)
    if at is None or EDGE < at < 1 - EDGE:
        return ""
    return "lower" if at <= EDGE else "upper"


def next_range(
    name: str, distribution: BaseDistribution, value: float, base: TrainConfig
) -> tuple[float, float] | None:
    """A range of the same width and scale with the value in its middle.

    An end that no config may have is replaced by the old one.  None if the range cannot be extended
    beyond the value's edge: dropout cannot be below 0.
    """
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if distribution.log:
        half = math.sqrt(high / low)
        ends = value / half, value * half
    else:
        ends = value - (high - low) / 2, value + (high - low) / 2
    whole = isinstance(distribution, IntDistribution)
    rounded = [max(1.0, float(round(end))) if whole else float(f"{end:.2g}") for end in ends]
    new_low = rounded[0] if _allowed(base, name, rounded[0], whole) else low
    new_high = rounded[1] if _allowed(base, name, rounded[1], whole) else high
    beyond = new_low < low if edge(distribution, value) == "lower" else new_high > high
    return (new_low, new_high) if beyond else None


def _allowed(base: TrainConfig, name: str, value: float, whole: bool) -> bool:
    try:
        base.replace(**{name: int(value) if whole else value})
    except ValueError:
        return False
    return True
