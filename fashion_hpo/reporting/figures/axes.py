"""Axes of searched fields: titles with units, round ticks, the ranges of the search."""

import math
from dataclasses import dataclass
from typing import Literal

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.design.formats import level_text
from fashion_hpo.reporting.levels import plot_text

UNITS = {
    "batch_size": "images",
    "train_images": "images",
    "dropout": "probability",
    "epochs": "epochs",
    "cycle_epochs": "epochs",
    "label_smoothing": "share",
}
MOST_DECADES_WITH_FIVES = 2  # wider ranges get ticks at powers of ten only
ROOM = 0.04  # margin at each end of an axis, as a share of the range


@dataclass(frozen=True)
class FieldAxis:
    """The axis of a searched field; a choice is at its index in the list of choices."""

    title: str
    kind: Literal["linear", "log", "choices"]
    low: float
    high: float
    choices: tuple[object, ...] = ()
    whole: bool = False

    def place(self, value: object) -> float:
        """The position of a value on a linear axis: its logarithm, or the index of a choice."""
        if self.kind == "choices":
            return float(self.choices.index(value))
        assert isinstance(value, int | float)
        return math.log10(value) if self.kind == "log" else float(value)

    @property
    def ends(self) -> list[float]:
        """The range of the axis, in positions, with a margin."""
        low, high = self.low, self.high
        if self.kind == "log":
            low, high = math.log10(low), math.log10(high)
        room = 0.4 if self.kind == "choices" else ROOM * (high - low) or 1.0
        return [low - room, high + room]

    @property
    def ticks(self) -> dict[float, str] | None:
        """Tick values and labels; None to let plotly choose."""
        if self.kind == "choices":
            return {float(i): plot_text(choice) for i, choice in enumerate(self.choices)}
        if self.kind == "linear":
            return None
        return {value: level_text(value) for value in self._log_ticks()}

    def _log_ticks(self) -> list[float]:
        if self.whole:  # batch sizes are powers of two
            exponents = range(math.ceil(math.log2(self.low)), math.floor(math.log2(self.high)) + 1)
            if len(exponents) > 1:
                return [float(2**exponent) for exponent in exponents]
        wide = math.log10(self.high / self.low) > MOST_DECADES_WITH_FIVES
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        marks = [
            float(f"{m}e{decade}") for decade in decades for m in ((1,) if wide else (1, 2, 5))
        ]
        return [mark for mark in marks if self.low <= mark <= self.high] or [self.low, self.high]


def title_of(name: str, note: str = "") -> str:
    """The name of a field, with its unit, if any, and the note."""
    details = ", ".join(filter(None, (UNITS.get(name), note)))
    return f"{plot_text(name)} ({details})" if details else plot_text(name)


def field_axis(name: str, distribution: BaseDistribution) -> FieldAxis:
    """The axis of a field over the whole range."""
    if isinstance(distribution, CategoricalDistribution):
        choices = tuple(distribution.choices)
        return FieldAxis(title_of(name), "choices", 0, len(choices) - 1, choices)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return FieldAxis(
        title=title_of(name, "log scale" if distribution.log else ""),
        kind="log" if distribution.log else "linear",
        low=float(distribution.low),
        high=float(distribution.high),
        whole=isinstance(distribution, IntDistribution),
    )
