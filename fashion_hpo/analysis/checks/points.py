"""Checks of a study's points: their ranges, their number, and pruning."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution

from fashion_hpo.analysis.checks.check import Check, by_level, counted, judged
from fashion_hpo.analysis.checks.ranges import edge, is_ordered, next_range, place
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.importance import good_share
from fashion_hpo.design.formats import level_text

INSIDE = (0.25, 0.75)  # positions in a range that are far from both ends
POINTS_PER_FIELD = 10
"""Loeppky, Sacks, Welch, "Choosing the Sample Size of a Computer Experiment" (2009)."""
PRUNED = 0.5  # share of the trials with a value
UNLIKELY = 0.05  # p-value below which pruned and complete trials differ


def boundary(records: Records) -> Check | None:
    """Best values near an end of their range: better values may lie beyond it."""
    if not any(map(is_ordered, records.plan.ranges.values())) or records.feasible.empty:
        return None
    at_edges = list(_at_edges(records))
    if not at_edges:
        seen = "No range that was searched needs widening for the best values."
        return Check("boundary", "ok", seen)
    seen, advice = ("; ".join(parts) for parts in zip(*at_edges, strict=True))
    return Check("boundary", "warning", f"The best {seen}.", f"Search {advice}.")


def too_few_points(records: Records) -> Check | None:
    """Whether there are enough points for the number of fields that are searched together."""
    fields = len(records.plan.ranges)
    if not fields or records.trials.empty:
        return None
    is_search = records.plan.search is not None
    count = len(records.trials) if is_search else records.plan.nuisance_points
    wanted = POINTS_PER_FIELD * fields
    point, field = ("point", "searched") if is_search else ("nuisance point", "nuisance")
    seen = f"{counted(count, point)} for {counted(fields, f'{field} field')}"
    setting = "trials" if is_search else "nuisance_points"
    return judged(
        "too_few_points",
        f"{seen}; {POINTS_PER_FIELD} for each are usual.",
        f"Raise {setting} to {wanted}, or search fewer fields at a time.",
        warn=count < wanted,
    )


def pruning(records: Records) -> Check | None:
    """Whether the complete trials differ from the pruned ones, which importance leaves out."""
    search = records.plan.search
    if search is None or search.pruner == "none" or records.complete.empty:
        return None
    pruned = records.trials[records.trials["outcome"] == "pruned"]
    complete = len(records.complete)
    ordered = [name for name, distribution in search.space.items() if is_ordered(distribution)]
    differing = [
        name for name in ordered if _differ(pruned[name], records.complete[name], len(ordered))
    ]
    names = f", which differ from the pruned ones in {' and '.join(differing)}" if differing else ""
    return judged(
        "pruning",
        f"{counted(len(pruned), 'trial')} pruned, {complete} complete{names}; importance is taken "
        "from the complete ones.",
        "Read the importances with care, or search again with pruner none.",
        warn=bool(differing) or len(pruned) > PRUNED * (len(pruned) + complete),
    )


def _at_edges(records: Records) -> Iterator[tuple[str, str]]:
    """For each best value near an end: a sentence part about it, and one about the next range."""
    for where, best in _leaders(records):
        for name, distribution in records.plan.ranges.items():
            value = best.iloc[0][name]
            side = edge(distribution, value)
            if not side or _is_alone(distribution, best[name]):
                continue
            tried = next_range(name, distribution, float(value), records.plan.base)
            if tried is not None:
                seen = f"{name}{where} is {level_text(value)}, near the {side} end of its range"
                yield seen, f"{name} from {level_text(tried[0])} to {level_text(tried[1])}{where}"


def _leaders(records: Records) -> Iterator[tuple[str, pd.DataFrame]]:
    """The best trials, best first: the good trials of a search; for each level of a design, the
    trials at the nuisance values with the best mean over seeds."""
    for level, ranked in by_level(records, records.ranked):
        if records.plan.search is not None:
            yield "", ranked.head(math.ceil(good_share(len(ranked)) * len(ranked)))
        else:
            rows = ranked.sort_index()
            means = rows.groupby(list(records.plan.ranges))["value"].transform("mean")
            yield f" at {level}", rows[means == means.max()]


def _is_alone(distribution: BaseDistribution, values: "pd.Series[float]") -> bool:
    """Whether the median of the good values is far from both ends."""
    positions = [at for value in values if (at := place(distribution, value)) is not None]
    return INSIDE[0] < float(np.median(positions)) < INSIDE[1]


def _differ(pruned: "pd.Series[float]", complete: "pd.Series[float]", fields: int) -> bool:
    """A Kolmogorov-Smirnov test with Bonferroni correction for the number of fields."""
    from scipy.stats import ks_2samp  # here: its import takes a second

    return len(pruned) > 0 and bool(ks_2samp(pruned, complete).pvalue < UNLIKELY / fields)
