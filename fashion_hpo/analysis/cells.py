"""A measure in every cell of a design, seed by seed."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from fashion_hpo.analysis.records import Records
from fashion_hpo.design.claims import Part
from fashion_hpo.design.config import EPOCH_METRICS
from fashion_hpo.design.spec import Level


@dataclass(frozen=True)
class Cells:
    """`values` has shape (seeds, cells), NaN where a cell has none; `levels` are each cell's."""

    fields: tuple[str, ...]
    levels: list[tuple[Level, ...]]
    values: np.ndarray

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

    def others(self, best: Mapping[str, Level], at: Mapping[str, Level]) -> list[dict[str, Level]]:
        """Every combination of the fields of `best` but that one."""
        places = [self.fields.index(name) for name in best]
        here = [cell for cell, chosen in zip(self.levels, self.at(at), strict=True) if chosen]
        found = dict.fromkeys(tuple(cell[place] for place in places) for cell in here)
        named = [dict(zip(best, levels, strict=True)) for levels in found]
        return [levels for levels in named if levels != dict(best)]


def column_of(measure: str) -> str:
    """The trials' column that holds a measure; what has a curve is taken at its last epoch."""
    return f"last_{measure}" if measure in EPOCH_METRICS else measure


def cells_of(records: Records, part: Part) -> Cells | None:
    """A part's measure in the cells of the plan; None if no trial has it."""
    scientific = records.plan.scientific
    compared = records.untuned if part.untuned else records.tuned
    trials = compared.assign(measured=_measured(records.epochs, compared, part))
    if not trials["measured"].notna().any() or any(name not in trials for name in scientific):
        return None
    by_cell = trials.dropna(subset="measured").groupby([*scientific, "seed_index"])["measured"]
    found = by_cell.mean().to_dict()
    levels = list(product(*scientific.values()))
    seeds = sorted(set(trials["seed_index"]))
    values = [[found.get((*cell, seed), np.nan) for cell in levels] for seed in seeds]
    return Cells(tuple(scientific), levels, np.array(values, dtype=float))


def _measured(epochs: pd.DataFrame, trials: pd.DataFrame, part: Part) -> "pd.Series[float]":
    """By the trials' index; NaN where a trial has no such measure."""
    if part.epoch is None:
        found = trials.get(column_of(part.measure))
    elif part.measure in epochs:
        then = epochs[epochs["epoch"] == part.epoch].set_index("trial")[part.measure]
        found = trials["trial"].map(then)
    else:
        found = None
    if found is None:
        return pd.Series(np.nan, index=trials.index, dtype=float)
    return pd.to_numeric(found, errors="coerce").astype(float)
