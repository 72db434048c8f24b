"""Nuisance fields, tuned away: every level is shown at its best, with the same effort for all.

The best of several points is partly the luckiest, so no seed is measured at a point that it helped
to choose (cross-fitting).  Half of the seeds choose a point by their mean validation accuracy, the
others are measured there; every half has its turn, and a seed's value is the mean over the halves
that it is not in.  That is unbiased where all points are as good, and where one is far better.
In between a level comes out a little too low (0.15 standard deviations with three seeds, 0.04 with
ten, of four points that are each one worse than the last), because half of the seeds can be wrong.

Values of different seeds then rest on choices that overlap, and are correlated: where the points
are equally good, the variance of their mean is up to two and a half times what their spread tells.
How often two halves choose different points tells where that is so: the variance is widened by the
factor 1 + 1.35 √(that share), which is 1 where all agree.  `make calibration` shows that intervals
then cover what they should, for flat and for steep levels.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
import pandas as pd

WIDENING = 1.35  # found by simulation; `make calibration` fails if it is far off
MOST_HALVES = 300  # of ten seeds there are 252; of more, some are drawn


class Choice(NamedTuple):
    """`weights` (..., seeds, points) add up to 1 for each seed; `disagreement` (...) is the share
    of pairs of halves that choose different points."""

    weights: np.ndarray
    disagreement: np.ndarray


def tuned(trials: pd.DataFrame, fields: Sequence[str], nuisance: Sequence[str]) -> pd.DataFrame:
    """At each level and seed, the trials at the nuisance values that are best on other seeds.

    With two columns more: `weight`, the share of the choices that took this trial, and the level's
    `disagreement`.  Up to three seeds, each has one trial a level.  With one seed there are no
    others, and it chooses itself.
    """
    if not len(nuisance) or trials.empty:
        return trials
    levels = [_of_level(level, nuisance) for _, level in trials.groupby(list(fields))]
    return pd.concat(levels).sort_index()


def cross_fit(values: np.ndarray) -> Choice:
    """Which points each seed is measured at; values (..., seeds, points), NaN where there is none.

    Of equally good points the first is chosen, and only among those that the seed has.
    """
    is_known, weights = ~np.isnan(values), np.zeros_like(values)
    known = np.where(is_known, values, 0.0)
    votes = np.zeros(values.shape[:-2] + values.shape[-1:])
    halves = list(_halves(values.shape[-2]))
    for judges, measured in halves:
        count = is_known[..., judges, :].sum(axis=-2)
        total = known[..., judges, :].sum(axis=-2)
        lowest = np.finfo(float).min  # unknown, yet better than what a seed lacks
        scores = np.where(count, total / np.maximum(count, 1), lowest)
        votes += _one_hot(scores)
        own_scores = np.where(is_known[..., measured, :], scores[..., None, :], -np.inf)
        weights[..., measured, :] += _one_hot(own_scores)
    weights /= weights.sum(axis=-1, keepdims=True)
    pairs = max(1, len(halves) * (len(halves) - 1))
    same = (votes * (votes - 1)).sum(axis=-1) / pairs
    return Choice(weights, 1 - same if len(halves) > 1 else np.zeros_like(same))


def widening(disagreement: np.ndarray) -> float:
    """Of the variance of a mean over seeds, where cells (any shape) were tuned so unsteadily."""
    return 1 + WIDENING * float(np.sqrt(disagreement).mean())


def _of_level(level: pd.DataFrame, nuisance: Sequence[str]) -> pd.DataFrame:
    seeds, row = np.unique(level["seed_index"], return_inverse=True)
    point = level.groupby(list(nuisance)).ngroup().to_numpy()
    values = np.full((len(seeds), point.max() + 1), np.nan)
    values[row, point] = level["value"].astype(float)
    choice = cross_fit(values)
    weight = choice.weights[row, point]
    chosen = level.assign(weight=weight, disagreement=float(choice.disagreement))
    return chosen[weight > 0]


def _one_hot(scores: np.ndarray) -> np.ndarray:
    """1 at the largest along the last axis, 0 elsewhere."""
    return np.asarray(scores.argmax(axis=-1)[..., None] == np.arange(scores.shape[-1]), dtype=float)


@cache
def _halves(seeds: int) -> tuple[tuple[list[int], list[int]], ...]:
    """The seeds that choose (the larger half), and those that are measured."""
    if seeds == 1:
        return (([0], [0]),)
    return tuple(
        (list(judges), [seed for seed in range(seeds) if seed not in judges])
        for judges in _subsets(seeds, (seeds + 1) // 2)
    )


def _subsets(seeds: int, size: int) -> Iterator[tuple[int, ...]]:
    if comb(seeds, size) <= MOST_HALVES:
        yield from combinations(range(seeds), size)
        return
    draw = np.random.default_rng(seeds)
    for _ in range(MOST_HALVES):
        yield tuple(draw.permutation(seeds)[:size].tolist())
