"""Would fewer trials have been enough?  The best of n of a search's trials, in random order.

The trials are drawn without replacement, for which the distribution of the best is known exactly
(Tang et al. 2020, "Showing your work doesn't always", arXiv 2004.13705; the estimate with
replacement of Dodge et al. 2019, arXiv 1909.03004, is biased).  For random and quasi-random search
any order is as likely as the one there was.  A sampler that learns makes its better proposals
late: for it the curve is a guide.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.plan import startup_trials

ENOUGH = 0.001  # a share: validation accuracy nearer than this to the best is as good
TAIL = 0.05  # left out at each end of the band
EXCHANGEABLE = ("random", "quasi_random")  # samplers whose trials could come in any order


class BestOf(NamedTuple):
    """For n = 1 to all trials: the expected best, and where it lies in 90 % of all orders."""

    expected: np.ndarray  # (N,)
    low: np.ndarray  # (N,)
    high: np.ndarray  # (N,)


def best_of(values: Sequence[float]) -> BestOf:
    """The best of n of these values, drawn without replacement.

    With v_1 <= ... <= v_N, P(best of n <= v_i) = C(i, n) / C(N, n).  Raises ValueError for none.
    """
    ordered = np.sort(np.asarray(values, dtype=float))
    count = len(ordered)
    if count == 0:
        raise ValueError("values is empty; a search needs at least one trial with a value.")
    below = np.ones(count + 1)  # C(i, n) / C(N, n) at each i, from that at n - 1
    expected, low, high = np.empty(count), np.empty(count), np.empty(count)
    ranks = np.arange(count + 1)
    for n in range(1, count + 1):
        below = below * np.maximum(ranks - n + 1, 0) / (count - n + 1)
        expected[n - 1] = float(np.diff(below) @ ordered)
        low[n - 1] = _quantile(ordered, below, TAIL)
        high[n - 1] = _quantile(ordered, below, 1 - TAIL)
    return BestOf(expected, low, high)


def of_search(records: Records) -> BestOf | None:
    """Of a search's trials; None with fewer than two of them complete.

    A pruned trial counts with the value it had when it was ended, as it could not have won; one
    that diverged, failed or was infeasible counts as the worst there is.
    """
    complete = records.feasible["value"].dropna()
    if len(complete) < 2:
        return None
    best = float(complete.max())
    values = records.trials["value"].astype(float)
    pruned = records.trials["outcome"] == "pruned"
    values = values.where(~pruned, np.minimum(values, best)).where(
        pruned | records.trials.index.isin(complete.index)
    )
    return best_of(values.fillna(values.min()).tolist())


def sentence(records: Records) -> str | None:
    """Whether half of the trials would have been enough; None with too few to tell."""
    curve = of_search(records)
    if curve is None:
        return None
    total = len(curve.expected)
    half = total // 2
    expected, low, high = (float(bound[half - 1]) for bound in curve)
    lost = float(curve.expected[-1]) - expected
    near = int(np.argmax(curve.expected >= curve.expected[-1] - ENOUGH)) + 1
    word = "would" if lost <= ENOUGH else "would not"
    guide = "" if is_exact(records) else "; a guide only, as later trials depended on earlier ones"
    return (
        f"Half the trials ({half} of {total}) {word} have been enough: their best search score is "
        f"expected {100 * lost:.2f} points lower ({expected:.2%}, in 90 % of orders {low:.2%} to "
        f"{high:.2%}), and within {100 * ENOUGH:.1f} points from {near} trials on{guide}."
    )


def is_exact(records: Records) -> bool:
    """Whether the trials could as well have come in any other order."""
    search, trials = records.plan.search, len(records.trials)
    if search is None or search.pruner != "none":
        return False
    return search.sampler in EXCHANGEABLE or startup_trials(records.plan, trials) == trials


def _quantile(ordered: np.ndarray, below: np.ndarray, share: float) -> float:
    """The lowest value that the best does not exceed with this probability."""
    place = int(np.searchsorted(below[1:], share - 1e-12))
    return float(ordered[min(place, len(ordered) - 1)])
