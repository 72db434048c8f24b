"""Numbers and counts as text for verdicts and answers."""

import math

from fashion_hpo.analysis.intervals import LARGEST_SEED_COUNT, Interval
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.formats import number_text
from fashion_hpo.design.plan import Plan, startup_trials


class Units:
    """Writes a claim part's statistic in percentage points, in percent or as a plain number."""

    def __init__(self, part: Part) -> None:
        self._percent, self._unit, self._sign = part.kind.scale(part)

    def number(self, value: float, *, signed: bool = False, decimals: int | None = None) -> str:
        """One number with its unit; a plain number has three digits, or `decimals`."""
        sign = self._sign if signed else ""
        if self._percent:
            return f"{100 * value:{sign}.2f}{self._unit}"
        return number_text(value, sign) if decimals is None else f"{value:{sign}.{decimals}f}"

    def brief(self, interval: Interval) -> str:
        """A mean and its interval with the unit once: `+1.95 points (1.20 to 2.70)`."""
        mean, low, high = self._numbers(interval)
        if math.isnan(interval.low):
            return mean
        return f"{mean} ({low.removesuffix(self._unit)} to {high.removesuffix(self._unit)})"

    def interval(self, interval: Interval, confidence: float = 0.95) -> str:
        """A mean and its interval."""
        mean, low, high = self._numbers(interval)
        if math.isnan(interval.low):
            return f"{mean} (too few seeds for an interval)"
        return f"{mean} ({100 * confidence:.3g} % interval {low} to {high})"

    def _numbers(self, interval: Interval) -> tuple[str, str, str]:
        places = decimals_of(interval)
        mean = self.number(interval.mean, signed=True, decimals=places)
        low, high = (self.number(end, decimals=places) for end in (interval.low, interval.high))
        return mean, low, high


def decimals_of(interval: Interval) -> int | None:
    """The decimals that show two digits of an interval's half-width.

    None for numbers from 1,000 on and for an interval without width.
    """
    half = (interval.high - interval.low) / 2
    if not math.isfinite(half) or half <= 0 or max(map(abs, interval)) >= 1000:
        return None
    return max(0, 1 - math.floor(math.log10(half)))


def what_decides(needed: int | None, have: int, most: int | None = None) -> str:
    """What `seeds_to_decide` says of an open question that rests on `have` seeds.

    `most` are as many seeds as the study may have.
    """
    if needed is None:
        return f"{LARGEST_SEED_COUNT:,} seeds would not decide"
    beyond = "" if most is None or needed <= most else f", and the study declares {most} at most"
    return f"about {seeds(needed - have, 'more ')} would decide{beyond}"


def startup(plan: Plan, trials: int) -> str:
    """The number of random start-up trials among a search's trials; "" if there are none.

    `9 of 10 trials are random start-up trials: tpe uses results once 10 are complete or pruned`
    """
    count = startup_trials(plan, trials)
    if not count or plan.search is None:
        return ""
    least = "at least " if trials > plan.search.startup else ""
    verb = "trials are random start-up trials" if trials > 1 else "trial is a random start-up trial"
    ended = "complete" if plan.search.sampler == "gp" else "complete or pruned"
    return (
        f"{least}{count} of {trials} {verb}: {plan.search.sampler} uses results once "
        f"{plan.search.startup} are {ended}"
    )


def seeds(count: int, which: str = "") -> str:
    """`1 seed`, `3 more seeds`."""
    return f"{count} {which}seed" if count == 1 else f"{count} {which}seeds"
