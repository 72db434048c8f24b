"""Whether a study can be expected to decide its claims: said before it runs."""

import math

import numpy as np

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.regime import too_small
from fashion_hpo.analysis.statistics.verdicts import Asked, measure
from fashion_hpo.analysis.wording import Units, seeds
from fashion_hpo.design.claims import Claim
from fashion_hpo.design.looks import error_levels
from fashion_hpo.design.measures import EPOCHS, MEASURES
from fashion_hpo.design.plan import Plan

FEWEST_FOR_COUNTS = 6  # 2⁻⁶ is less than 2.5 %, and 2⁻⁵ is more


def expectations(plan: Plan, earlier: Records | None) -> list[str]:
    """A line for each claim that can be tested: the half-width to be expected of its interval, by
    the spread of earlier results, against its distance from the margin."""
    testable = [claim for claim in plan.spec.claims if not claim.untestable]
    return [f"{claim.id}: {_expected(claim, plan, earlier)}." for claim in testable]


def _expected(claim: Claim, plan: Plan, earlier: Records | None) -> str:
    if claim.regime is not None and (why := too_small(claim.regime, plan)):
        return f"not asked at this budget: {why}"
    is_count = any(MEASURES[part.measure].unit is EPOCHS for part in claim.all_parts)
    if is_count and plan.looks[-1] < FEWEST_FOR_COUNTS:
        return (
            f"cannot be decided: the exact test of a count needs {FEWEST_FOR_COUNTS} seeds, and "
            f"{plan.looks[-1]} are the most"
        )
    compared = [] if earlier is None else _compared(claim, earlier)
    known = [asked for asked in compared if math.isfinite(_half_width(asked, plan))]
    if not known:
        return "no earlier results tell its spread"
    return _in_words(max(known, key=lambda asked: _half_width(asked, plan) - asked.distance), plan)


def _compared(claim: Claim, earlier: Records) -> list[Asked]:
    return [each.asked for part in claim.all_parts for each in measure(earlier, part) if each.asked]


def _half_width(asked: Asked, plan: Plan) -> float:
    """Of the interval at the first look."""
    error = error_levels(plan.looks)[0]
    return float(asked.estimate.half_widths(np.array([plan.looks[0]]), 1 - error)[0])


def _in_words(asked: Asked, plan: Plan) -> str:
    half, units = _half_width(asked, plan), Units(asked.part)
    what = (
        f"half-width about {units.number(half)} with {seeds(plan.looks[0])}, and "
        f"{units.number(asked.distance)} from the margin in earlier results: "
    )
    if half < asked.distance:
        return f"{what}likely to be decided"
    needed = asked.seeds_to_decide(error_levels(plan.looks)[0])
    enough = "a thousand seeds would not" if needed is None else f"{seeds(needed)} would"
    return f"{what}unlikely to be decided; {enough}"
