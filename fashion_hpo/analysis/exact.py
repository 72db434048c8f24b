"""Estimates that have no t interval: counts, and measures that do not vary."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import bdtr, bdtrc

from fashion_hpo.analysis.intervals import LARGEST_SEED_COUNT, Estimate, Interval


@dataclass(frozen=True)
class Counted(Estimate):
    """The median of one count a seed, such as an epoch.

    Counts have ties, are skewed, and are censored where the event never came (epochs + 1), so that
    their mean has no t interval.  The sign test and the interval between two of the sorted values
    are exact.  With fewer than six seeds both say nothing: 2 · 2⁻⁵ is more than 5 %.
    """

    @cached_property
    def mean(self) -> float:
        """The median."""
        return float(np.median(self.values))

    @property
    def has_width(self) -> bool:
        """True: the sign test needs no interval to decide."""
        return True

    def interval(self, confidence: float = 0.95) -> Interval:
        """The interval of the median, without ends for too few seeds."""
        count, ordered = len(self.values), np.sort(self.values)
        ranks = np.arange(count // 2)
        outside = int((2 * bdtr(ranks, count, 0.5) <= 1 - confidence + 1e-12).sum())
        if not outside:
            return Interval(self.mean, math.nan, math.nan)
        return Interval(self.mean, float(ordered[outside - 1]), float(ordered[-outside]))

    def p_above(self, figure: float) -> float:
        """One-sided p value: the chance of so many seeds above `figure`, if that is the median."""
        above, below = self._sides(figure)
        return _sign_test(above, above + below)

    def p_below(self, figure: float) -> float:
        """The same of so many seeds below."""
        above, below = self._sides(figure)
        return _sign_test(below, above + below)

    def seeds_to_decide(self, margin: float, confidence: float = 0.95) -> int | None:
        """How many seeds would decide, if the shares above and below stay as they are."""
        share = max(self._sides(margin)) / len(self.values)
        for count in range(len(self.values) + 1, LARGEST_SEED_COUNT + 1):
            if _sign_test(int(share * count), count) <= (1 - confidence) / 2:
                return count
        return None

    def _sides(self, figure: float) -> tuple[int, int]:
        """How many seeds lie above and below `figure`."""
        return int((self.values > figure).sum()), int((self.values < figure).sum())


@dataclass(frozen=True)
class Constant(Estimate):
    """A measure that depends on the config alone, such as a network's number of parameters."""

    @property
    def has_width(self) -> bool:
        """True: the value is exact, so its interval may have no width."""
        return True

    def interval(self, confidence: float = 0.95) -> Interval:
        """An interval without width at the value."""
        return Interval(self.mean, self.mean, self.mean)

    def p_above(self, figure: float) -> float:
        """p value: 0 if the value is above `figure`, else 1."""
        return float(not (self.values > figure).all())

    def p_below(self, figure: float) -> float:
        """p value: 0 if the value is below `figure`, else 1."""
        return float(not (self.values < figure).all())

    def seeds_to_decide(self, margin: float, confidence: float = 0.95) -> int | None:
        """None: more seeds give the same value."""
        return None


def _sign_test(above: int, count: int) -> float:
    """The probability of at least that many heads when `count` coins are tossed."""
    return float(bdtrc(above - 1, count, 0.5)) if above else 1.0
