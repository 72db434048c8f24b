"""Nuisance fields, tuned away: every level is shown at its best, with the same effort for all."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def tuned(trials: pd.DataFrame, fields: Sequence[str], nuisance: Sequence[str]) -> pd.DataFrame:
    """At each level and seed, the trial at the nuisance values that are best on the other seeds.

    Chosen by validation accuracy, on other seeds than it is measured on, so that the best of many
    is not the luckiest; with one seed there are no others, and it is.
    """
    if not len(nuisance) or trials.empty:
        return trials
    kept = []
    for _, level in trials.groupby(list(fields)):
        for seed, here in level.groupby("seed_index"):
            others = level[level["seed_index"] != seed]
            judged = others if len(others) else here
            scores = judged.groupby(list(nuisance))["value"].mean().to_dict()
            keys = here[list(nuisance)].itertuples(index=False, name=None)
            found = [scores.get(key if len(key) > 1 else key[0], -np.inf) for key in keys]
            kept.append(here.index[int(np.argmax(found))])
    return trials.loc[sorted(kept)]
