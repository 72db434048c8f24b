"""A warm start: the best points of an earlier search are the first ones of another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.design.checks import check_choice

SAME_STEP = 1e-8  # of a step, as Optuna allows
Values = Mapping[str, Any]  # of the searched fields


@dataclass(frozen=True)
class WarmStart:
    """What a ledger was begun with, as it is written down with it: its source may change."""

    of: str  # the name of the ledger whose best points these are
    points: tuple[Values, ...]  # best first

    @property
    def source(self) -> tuple[str, str]:
        """The name and the budget of the study they are from."""
        name, budget, _ = self.of.split("/")
        return name, budget

    def extent(self) -> dict[str, Any]:
        """As a ledger keeps it."""
        return {"of": self.of, "points": [dict(values) for values in self.points]}


def kept_warm_start(extent: Mapping[str, Any]) -> WarmStart | None:
    """The one that a ledger keeps; None if it was begun without."""
    kept = extent.get("warm_start")
    return None if kept is None else WarmStart(kept["of"], tuple(kept["points"]))


def source_of(named: str, budget: str) -> tuple[str, str]:
    """Study and budget of `name` or `name:budget`; without one, it is that of the search itself."""
    name, _, given = named.partition(":")
    return name, given or budget


def check_source(named: object) -> None:
    """Raise ValueError unless it is "", `name` or `name:budget`."""
    if not isinstance(named, str) or (named and not source_of(named, "standard")[0]):
        raise ValueError(
            f"search.warm_start is {named!r}; allowed is the name of an earlier search, or "
            '"name:budget".'
        )
    if named:
        check_choice("budget of search.warm_start", source_of(named, "standard")[1], BUDGETS)


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value lies in a range, on one of its steps if it has some."""
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    if isinstance(value, str | bool) or value is None:
        return False
    inside = bool(distribution.low <= value <= distribution.high)
    if inside and distribution.step is not None:
        steps = (value - distribution.low) / distribution.step
        return bool(abs(steps - round(steps)) < SAME_STEP)
    return inside
