"""Narrow a search's ranges where one field bounds another, so that more draws are valid configs."""

import math
from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.design.config import FALL_TO_FINAL, TrainConfig

Ranges = Mapping[str, BaseDistribution]

AT_MOST = (("batch_size", "train_images"), ("warmup_epochs", "epochs"))
"""Pairs of fields; the first is at most the second.  `TrainConfig` has the exact checks."""
OF_FALLING_SCHEDULES = ("final_learning_rate", "learning_rate")


def narrowed(space: Ranges, base: TrainConfig) -> dict[str, BaseDistribution]:
    """The ranges without values that are invalid for all values of the other fields.

    Raises ValueError, naming both fields, if no value is left.
    """
    schedules = _values(space, base, "schedule")
    pairs = [*AT_MOST, *([OF_FALLING_SCHEDULES] if {*schedules} <= {*FALL_TO_FINAL} else [])]
    ranges = dict(space)
    for low, high in pairs:
        least, most = min(_values(ranges, base, low)), max(_values(ranges, base, high))
        if least > most:
            raise ValueError(
                f"{low} is {least} or more, but {high} is {most} or less, so no valid config can "
                f"be drawn; lower {low} or raise {high}."
            )
        if low in ranges:
            ranges[low] = _between(ranges[low], -math.inf, most)
        if high in ranges:
            ranges[high] = _between(ranges[high], least, math.inf)
    return ranges


def _values(ranges: Ranges, base: TrainConfig, name: str) -> list[Any]:
    """The choices of a field, the ends of its range, or the base config's value."""
    distribution = ranges.get(name)
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, FloatDistribution | IntDistribution):
        return [distribution.low, distribution.high]
    return [getattr(base, name)]


def _between(distribution: BaseDistribution, least: float, most: float) -> BaseDistribution:
    """The range cut to `least` to `most`, with the same steps."""
    if isinstance(distribution, CategoricalDistribution):
        choices = [c for c in distribution.choices if least <= c <= most]  # type: ignore[operator]
        return CategoricalDistribution(choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if low < least:
        low = least if step is None else low + math.ceil((least - low) / step) * step
    if high > most:
        high = most if step is None else low + math.floor((most - low) / step) * step
    if (low, high) == (distribution.low, distribution.high) or low > high:
        return distribution  # no step is left in between: invalid draws are reported later
    if isinstance(distribution, IntDistribution):
        step = distribution.step
        return IntDistribution(int(low), int(high), log=distribution.log, step=step)
    return FloatDistribution(low, high, log=distribution.log, step=step)
