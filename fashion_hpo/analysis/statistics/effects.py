"""The statistic of a part of a claim: one number a seed, and the cells that it rests on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fashion_hpo.analysis.statistics.cells import Cells
from fashion_hpo.analysis.tuning import widening
from fashion_hpo.design.claim_kinds.kind import Part, Sides, Statistic, difference_of, levels_text
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


def effects_of(cells: Cells, part: Part) -> list[Effect]:
    """A part's statistics, each for the seeds that have every cell it needs."""
    return [_effect(statistic, cells, part) for statistic in part.kind.statistics(cells, part)]


def effect_between(
    cells: Cells, part: Part, first: Mapping[str, Level], second: Mapping[str, Level]
) -> Effect:
    """A part's measure at the second levels less that at the first."""
    named = f"{part.name} with {levels_text(second)} against {levels_text(first)}"
    return _effect(difference_of(cells, part, first, second, named), cells, part)


def _effect(statistic: Statistic, cells: Cells, part: Part) -> Effect:
    """The statistic with the seeds and cells that it rests on."""
    values, name, means, sides = statistic
    shares = None if sides is None else _shares(cells, sides)
    used = np.array(cells.at(part.at)) if shares is None else shares != 0
    unsteady = cells.disagreement[used]
    return Effect(
        values,
        name,
        means,
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
