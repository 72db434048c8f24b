"""How much each searched field matters, by Optuna's PED-ANOVA (Watanabe et al. 2023)."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import optuna
import pandas as pd
from optuna.trial import create_trial

from fashion_hpo.analysis.records import Records

FEWEST_TRIALS = 4
BEST_TRIALS = 5  # fewer good trials than this make the estimate unsteady
LARGEST_SHARE = 0.5  # of all trials that count as good


def importances(records: Records) -> dict[str, float]:
    """Each sampled field's share of importance for being among the best trials, largest first.

    The shares add up to 1.  Empty where the trials cannot tell: fewer than four are complete, or
    the good half has the same value as the rest.
    """
    trials = _valued(records)
    if len(trials) < FEWEST_TRIALS or not records.plan.ranges:
        return {}
    share = good_share(len(trials))
    cutoff = trials["value"].nlargest(int(np.ceil(share * len(trials)))).min()
    if cutoff <= trials["value"].min():  # all would count as good
        return {}
    # Here, because it imports scikit-learn, which takes a second.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    with _quiet():
        shares = get_param_importances(
            _rebuilt(records, trials), evaluator=PedAnovaImportanceEvaluator(target_quantile=share)
        )
    order = list(records.plan.ranges)
    ranked = sorted(shares, key=lambda name: (-shares[name], order.index(name)))
    return {name: float(shares[name]) for name in ranked}


def good_share(trials: int) -> float:
    """The share of trials that count as good: a tenth, or five trials, or half of them."""
    return min(LARGEST_SHARE, max(0.1, BEST_TRIALS / trials))


def _valued(records: Records) -> pd.DataFrame:
    """The complete trials that have a finite value."""
    values = pd.to_numeric(records.complete["value"], errors="coerce").astype(float)
    finite = values[np.isfinite(values)]
    return records.complete.loc[finite.index].assign(value=finite)


def _rebuilt(records: Records, trials: pd.DataFrame) -> optuna.Study:
    """The trials as an Optuna study in memory."""
    ranges = dict(records.plan.ranges)
    study = optuna.create_study(direction="maximize")
    for row in trials[[*ranges, "value"]].to_dict("records"):
        params = {name: row[name] for name in ranges}
        study.add_trial(create_trial(params=params, distributions=ranges, value=row["value"]))
    return study


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line about a study in memory, which is no news to anyone."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)
