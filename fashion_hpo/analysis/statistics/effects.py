"""The statistic of a part of a claim: one number a seed, and the cells that it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fashion_hpo.analysis.statistics.cells import Cells
from fashion_hpo.analysis.statistics.tuning import widening
from fashion_hpo.design.claim_kinds.kind import Part, Sides, Statistic, levels_text, whole
from fashion_hpo.design.spec import Level


@dataclass(frozen=True)
class Effect:
    """A statistic's values, shape (seeds,), its name, and in words the means behind it.

    `seeds` says which seeds have one.  `shares` (cells,) are what each cell counts where the
    statistic is a sum of cells, None where it is no such sum; `widening` is the factor on its
    variance that the choice of nuisance values costs.
    """

    values: np.ndarray
    name: str
    means: str
    seeds: list[int] = field(default_factory=list)
    shares: np.ndarray | None = None
    widening: float = 1.0


def effect_of(cells: Cells, part: Part) -> Effect:
    """A part's statistic, for each seed that has every cell it needs."""
    kind = part.kind
    return _effect(kind.statistic(cells, part), cells, part, kind.sides(part))


def difference_of(
    cells: Cells, part: Part, first: Mapping[str, Level], second: Mapping[str, Level]
) -> Effect:
    """A part's measure at the second levels less that at the first; fields that neither names are
    averaged over."""
    low, high = whole(cells.mean(first), cells.mean(second))
    named = f"{part.name} with {levels_text(second)} against {levels_text(first)}"
    means = f"{part.mean_text(low)} → {part.mean_text(high)}"
    return _effect(Statistic(high - low, named, means), cells, part, [(second, 1), (first, -1)])


def _effect(statistic: Statistic, cells: Cells, part: Part, sides: Sides | None) -> Effect:
    """The statistic with the seeds and cells that it rests on."""
    shares = None if sides is None else _shares(cells, sides)
    used = np.array(cells.at(part.at)) if shares is None else shares != 0
    unsteady = cells.disagreement[used]
    return Effect(
        *statistic,
        seeds=_seeds(cells, used),
        shares=shares,
        widening=widening(unsteady) if len(unsteady) else 1.0,
    )


def _seeds(cells: Cells, used: np.ndarray) -> list[int]:
    complete = ~np.isnan(cells.values[:, used]).any(axis=1)
    return [seed for seed, has_all in zip(cells.seeds, complete, strict=True) if has_all]


def _shares(cells: Cells, sides: Sides) -> np.ndarray:
    """What each cell counts."""
    shares = np.zeros(len(cells.levels))
    for levels, sign in sides:
        chosen = np.array(cells.at(levels))
        shares[chosen] += sign / max(1, int(chosen.sum()))
    return shares
