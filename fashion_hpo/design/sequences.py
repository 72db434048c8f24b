"""Quasi-random and random sequences of values over ranges.

A longer sequence starts with the shorter one, so that a study can be extended.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

Ranges = Mapping[str, BaseDistribution]


def sobol_values(ranges: Ranges, count: int, seed: int) -> list[dict[str, Any]]:
    """The first `count` scrambled Sobol points (Owen 1998), scaled to the ranges."""
    from scipy.stats.qmc import Sobol  # imported here, because it takes half a second

    sequence = Sobol(len(ranges), rng=seed)
    unit = sequence.random_base2(math.ceil(math.log2(count)) if count > 1 else 0)[:count]
    return [_placed(ranges, row) for row in unit.tolist()]


def random_values(ranges: Ranges, count: int, seed: int) -> list[dict[str, Any]]:
    """The first `count` independent uniform points, each keyed by its index."""
    import numpy as np  # imported here, so that --help does not wait for it

    keyed = (np.random.default_rng([seed, index]) for index in range(count))
    return [_placed(ranges, rng.random(len(ranges)).tolist()) for rng in keyed]


def place(distribution: BaseDistribution, u: float) -> Any:
    """The value of a range at position u, 0 <= u < 1."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(u * len(distribution.choices))]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = distribution.low, distribution.high
    if distribution.step is not None and not distribution.log:  # all values are equally likely
        value = low + int(u * (round((high - low) / distribution.step) + 1)) * distribution.step
    elif isinstance(distribution, IntDistribution):
        value = math.floor(low * ((high + 1) / low) ** u)
    else:
        value = low * (high / low) ** u if distribution.log else low + (high - low) * u
    if isinstance(distribution, FloatDistribution):
        value = float(f"{value:.6g}")  # readable, and equal in every store
    return min(max(value, low), high)  # rounding may leave the range


def _placed(ranges: Ranges, row: Sequence[float]) -> dict[str, Any]:
    """A point of the unit cube scaled to the ranges; the order of the ranges does not matter."""
    pairs = zip(sorted(ranges.items()), row, strict=True)
    return {name: place(distribution, u) for (name, distribution), u in pairs}
