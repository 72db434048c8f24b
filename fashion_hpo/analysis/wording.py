"""Numbers as verdicts and answers write them."""

from fashion_hpo.analysis.statistics import Interval
from fashion_hpo.design.claims import Part

SHARES = (
    "value",
    "val_accuracy",
    "train_eval_accuracy",
    "best_val_accuracy",
    "model_val_accuracy",
    "confident_share",
    "look_alike_errors",
    "area_above_curve",
    *(f"recall_{label}" for label in range(10)),
)


class Units:
    """How a part's statistic is written: in points of a percentage, in percent or as a number."""

    def __init__(self, part: Part) -> None:
        self._percent = part.measure in SHARES
        self._sign = "+"
        self._unit = " points" if self._percent else ""
        if part.kind == "influence":
            self._percent, self._unit = True, " points"
        elif part.relative:
            self._percent, self._unit = True, " %"
        elif part.kind == "figure":  # not a difference
            self._sign, self._unit = "", " %" if self._percent else ""

    def number(self, value: float, *, signed: bool = False) -> str:
        """One number with its unit."""
        sign = self._sign if signed else ""
        if self._percent:
            return f"{100 * value:{sign}.2f}{self._unit}"
        return plain(value, sign)

    def brief(self, interval: Interval) -> str:
        """The same, its unit named once: `+1.95 points (1.20 to 2.70)`."""
        low, high = (self.number(end).removesuffix(self._unit) for end in interval[1:])
        return f"{self.number(interval.mean, signed=True)} ({low} to {high})"

    def interval(self, interval: Interval) -> str:
        """A mean and its 95 % interval."""
        mean = self.number(interval.mean, signed=True)
        return f"{mean} (95 % interval {self.number(interval.low)} to {self.number(interval.high)})"


def level_mean(value: float, measure: str) -> str:
    """What a measure comes to at one level."""
    return f"{100 * value:.2f} %" if measure in SHARES else plain(value)


def plain(value: float, sign: str = "") -> str:
    """Three digits; counts in full."""
    if abs(value) >= 1000:
        return f"{value:{sign},.0f}"
    return f"{value:{sign}.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:{sign}.1e}"


def shown(value: object) -> str:
    """A level."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def seeds(count: int, which: str = "") -> str:
    """`1 seed`, `3 more seeds`."""
    return f"{count} {which}seed" if count == 1 else f"{count} {which}seeds"
