"""A warm start: a search begins with the best points of an earlier search."""

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

SAME_STEP = 1e-8  # tolerance as a share of a step, as in Optuna
Values = Mapping[str, Any]  # of the searched fields


@dataclass(frozen=True)
class WarmStart:
    """The first points of a search, stored in its ledger, because the source may change."""

    of: str  # the name of the ledger whose best points these are
    points: tuple[Values, ...]  # best first

    @property
    def source(self) -> tuple[str, str]:
        """The name and the budget of the earlier study."""
        name, budget, _ = self.of.split("/")
        return name, budget

    def extent(self) -> dict[str, Any]:
        """The warm start as stored in a ledger."""
        return {"of": self.of, "points": [dict(values) for values in self.points]}


def kept_warm_start(extent: Mapping[str, Any]) -> WarmStart | None:
    """The warm start stored in a ledger; None without one."""
    stored = extent.get("warm_start")
    return None if stored is None else WarmStart(stored["of"], tuple(stored["points"]))


def source_of(source: str, budget: str) -> tuple[str, str]:
    """Study and budget of `name` or `name:budget`; `budget` is the default."""
    name, _, given = source.partition(":")
    return name, given or budget


def check_source(source: object) -> None:
    """Raise ValueError unless `source` is "", `name` or `name:budget`."""
    if not isinstance(source, str) or (source and not source_of(source, "standard")[0]):
        raise ValueError(
            f"search.warm_start is {source!r}; allowed is the name of an earlier search, or "
            '"name:budget".'
        )
    if source:
        check_choice("budget of search.warm_start", source_of(source, "standard")[1], BUDGETS)


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether a value is in a range, and on one of its steps if it has steps."""
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
