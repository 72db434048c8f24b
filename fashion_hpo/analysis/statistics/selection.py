"""The winner of a search, chosen on fresh seeds, and by how much the search flattered it.

The best of many scores is too good on average: it was chosen for its luck as well (Cawley and
Talbot 2010, "On over-fitting in model selection").  Selection bias is a config's score in the
search minus its mean over seeds that had no part in choosing it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from fashion_hpo.analysis.intervals import UNKNOWN, Estimate, ImageNoise, Interval
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.image_noise import noise_of_trials
from fashion_hpo.analysis.wording import seeds
from fashion_hpo.design.confirmation import SEARCHED_SEED
from fashion_hpo.stores.predictions import NoPredictionsError

Config = tuple[Any, ...]  # the values of the searched fields


@dataclass(frozen=True)
class Finalist:
    """One config that the search thought best, and what it reaches on fresh seeds."""

    trial: int  # of the search
    values: Mapping[str, Any]  # of the searched fields
    score: float  # validation accuracy in the search, a share
    fresh: Interval  # mean over fresh seeds, a share, and its 95 % interval
    seeds: int  # of them
    images: int | None = None  # whose noise is in the interval too, where a store is known
    missing: str = ""  # why there is no interval

    @property
    def basis(self) -> str:
        """What the mean and its interval rest on: `2 seeds, 5,000 images`."""
        if self.missing:
            return f"{seeds(self.seeds)}, no interval because {self.missing}"
        return seeds(self.seeds) + (f", {self.images:,} images" if self.images else "")

    @property
    def bias(self) -> float:
        """How much too good its score was, as a share."""
        return self.score - self.fresh.mean


@dataclass(frozen=True)
class Audit:
    """Pruned trials that were trained to their end: how many would have been finalists."""

    ended: int
    missed: int  # at least as good as the last finalist's score in the search
    pruned: int  # all pruned trials of the search, also those not trained to their end


def finalists(records: Records) -> list[Finalist]:
    """Those with an outcome on fresh seeds, the winner first; none before a search is confirmed.

    The winner has the highest mean.  A config that failed or diverged on a seed comes after those
    that did not: the seeds that are left would flatter it.
    """
    if records.confirmation is None or records.ranked.empty:
        return []
    fresh = defaultdict(list)
    compared = records.confirmation.ranked.sort_index()
    for config, row in _by_config(compared, records.varied):
        if row["seed_index"] > SEARCHED_SEED:
            fresh[config].append((float(row["value"]), str(row.get("uid", ""))))
    # The most seeds first, then the highest mean, the first of equals: as `register` chooses.
    order = sorted(fresh.items(), key=lambda item: (-len(item[1]), -_mean(item[1])))
    best, ranked = _best_of_each(records), []
    for config, scores in order:
        if searched := best.get(config):
            named = {name: searched[name] for name in records.varied}
            values, uids = zip(*scores, strict=True)
            noise, missing = _noise(records.confirmation, uids)
            ranked.append(
                Finalist(
                    trial=int(searched["trial"]),
                    values=named,
                    score=float(searched["value"]),
                    fresh=Estimate(np.array(values), images=noise).interval(),
                    seeds=len(values),
                    images=None if noise is None else noise.images,
                    missing=missing,
                )
            )
    return ranked


def winner(records: Records) -> Finalist | None:
    """The best finalist, once all finalists were trained; None before, or if none is confirmed."""
    if records.confirmation is None or records.confirmation.remaining:
        return None
    return next(iter(finalists(records)), None)


def mean_bias(ranked: list[Finalist]) -> float:
    """Over all finalists, which the choice among them cannot touch.

    Raises ValueError for none.
    """
    return fmean(finalist.bias for finalist in ranked)


def audit(records: Records) -> Audit | None:
    """What the pruner missed, as far as its audit tells; None without one."""
    if records.confirmation is None or records.confirmation.trials.empty:
        return None
    trials = records.confirmation.complete
    ended = trials[trials["seed_index"] == SEARCHED_SEED]
    if ended.empty:
        return None
    assert records.plan.search is not None
    scores = sorted((float(row["value"]) for row in _best_of_each(records).values()), reverse=True)
    bar = scores[: max(1, records.plan.search.finalists)]
    able = ended[ended.index.isin(records.confirmation.feasible.index)]
    missed = int((able["value"] >= min(bar, default=0.0)).sum())
    return Audit(len(ended), missed, int((records.trials["outcome"] == "pruned").sum()))


def summary(records: Records) -> dict[str, str]:
    """What a study run's tags say of the winner; nothing before there is one."""
    best = winner(records)
    if best is None:
        return {}
    return {
        "winner": f"trial {best.trial}",
        "winner_fresh_seed_mean": f"{best.fresh.mean:.5f}",
        "selection_bias": f"{best.bias:+.5f}",
    }


def _noise(confirmation: Records, uids: Sequence[str]) -> tuple[ImageNoise | None, str]:
    """The noise of the images in the mean of these trials; if unknown, None and the reason."""
    try:
        return noise_of_trials(confirmation, uids), ""
    except NoPredictionsError as error:
        return UNKNOWN, str(error)


def _mean(fresh: Sequence[tuple[float, str]]) -> float:
    """Rounded once, as the winner's is: equal means must be equal."""
    return fmean(value for value, _ in fresh)


def _best_of_each(records: Records) -> dict[Config, dict[Any, Any]]:
    """The best trial of each config, best first."""
    best: dict[Config, dict[Any, Any]] = {}
    for config, row in _by_config(records.ranked, records.varied):
        best.setdefault(config, row)
    return best


def _by_config(
    trials: pd.DataFrame, fields: Sequence[str]
) -> Iterator[tuple[Config, dict[Any, Any]]]:
    for row in trials.to_dict("records"):
        yield tuple(row[name] for name in fields), row
