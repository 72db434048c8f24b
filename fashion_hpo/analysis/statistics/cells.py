"""A measure in every cell of a design, seed by seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from statistics import fmean

import numpy as np
import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.config import EPOCH_METRICS
from fashion_hpo.design.spec import Level


@dataclass(frozen=True)
class Cells:
    """`values` has shape (seeds, cells), NaN where a cell has none; `levels` are each cell's.

    `disagreement` (cells,) tells how unsteadily a cell's nuisance values were chosen.
    """

    fields: tuple[str, ...]
    levels: list[tuple[Level, ...]]
    values: np.ndarray
    seeds: list[int]
    disagreement: np.ndarray

    def at(self, where: Mapping[str, Level]) -> list[bool]:
        """Which cells have these levels."""
        places = [(self.fields.index(name), level) for name, level in where.items()]
        return [all(cell[place] == level for place, level in places) for cell in self.levels]

    def mean(self, where: Mapping[str, Level]) -> np.ndarray:
        """Over the cells at these levels, shape (seeds,); NaN for a seed that lacks one of them."""
        chosen = self.at(where)
        if not any(chosen):  # a budget may leave levels out
            return np.full(len(self.values), np.nan)
        return np.asarray(self.values[:, chosen].mean(axis=1))

    def ranked(self) -> list[dict[str, Level]]:
        """The cells that have a value: the most seeds first, then the highest mean over them.

        So does `register` choose: a cell that failed on a seed would be flattered by the others.
        """
        known = [np.flatnonzero(~np.isnan(column)) for column in self.values.T]

        def place(cell: int) -> tuple[int, float, int]:
            """Of equals the cell that was trained first."""
            seeds = known[cell]
            return -len(seeds), -fmean(self.values[seeds, cell].tolist()), int(seeds[0])

        order = sorted((cell for cell, seeds in enumerate(known) if len(seeds)), key=place)
        return [dict(zip(self.fields, self.levels[cell], strict=True)) for cell in order]


def column_of(measure: str) -> str:
    """The trials' column that holds a measure; what has a curve is taken at its last epoch."""
    return f"last_{measure}" if measure in EPOCH_METRICS else measure


def cells_of(records: Records, part: Part) -> Cells | None:
    """A part's measure in the cells of the plan; None if no trial has it."""
    scientific = records.plan.scientific
    compared = compared_trials(records, part)
    trials = compared.assign(measured=_measured(records.epochs, compared, part))
    if not trials["measured"].notna().any() or any(name not in trials for name in scientific):
        return None
    trials = trials.dropna(subset="measured")
    means = _by_cell_and_seed(trials, list(scientific))
    levels = list(product(*scientific.values()))
    seeds = sorted(set(trials["seed_index"]))
    values = [[means.get((*cell, seed), np.nan) for cell in levels] for seed in seeds]
    unsteady = _disagreement(trials, list(scientific))
    return Cells(
        tuple(scientific),
        levels,
        np.array(values, dtype=float),
        seeds,
        np.array([unsteady.get(cell, 0.0) for cell in levels]),
    )


def compared_trials(records: Records, part: Part) -> pd.DataFrame:
    """Those that a part is about: at each level's best nuisance values, or at the base's own."""
    return records.untuned if part.untuned else records.tuned


def weights_of(trials: pd.DataFrame) -> "pd.Series[float]":
    """How much each trial counts in its cell and seed; alike where nothing was tuned."""
    if "weight" in trials:
        return trials["weight"]
    return pd.Series(1.0, index=trials.index)


def _by_cell_and_seed(trials: pd.DataFrame, fields: list[str]) -> dict[tuple[Level, ...], float]:
    weights = weights_of(trials)
    weighted = trials.assign(measured=trials["measured"] * weights, counted=weights)
    sums = weighted.groupby([*fields, "seed_index"])[["measured", "counted"]].sum()
    means = sums["measured"] / sums["counted"]
    return dict(zip(means.index.tolist(), means.tolist(), strict=True))


def _disagreement(trials: pd.DataFrame, fields: list[str]) -> dict[tuple[Level, ...], float]:
    if "disagreement" not in trials:
        return {}
    levels = trials.drop_duplicates(fields)
    keys = levels[fields].itertuples(index=False, name=None)
    return dict(zip(keys, levels["disagreement"], strict=True))


def _measured(epochs: pd.DataFrame, trials: pd.DataFrame, part: Part) -> "pd.Series[float]":
    """By the trials' index; NaN where a trial has no such measure, or no finite one."""
    if part.epoch is None:
        column = trials.get(column_of(part.measure))
    elif part.measure in epochs:
        then = epochs[epochs["epoch"] == part.epoch].set_index("trial")[part.measure]
        column = trials["trial"].map(then)
    else:
        column = None
    if column is None:
        return pd.Series(np.nan, index=trials.index, dtype=float)
    numbers = pd.to_numeric(column, errors="coerce").astype(float)
    return numbers.where(np.isfinite(numbers))
