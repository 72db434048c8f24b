"""The statistic of every kind of claim: one number a seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fashion_hpo.analysis.statistics.cells import Cells
from fashion_hpo.analysis.statistics.tuning import widening
from fashion_hpo.design.claims import Contrast, Part
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.spec import Level

Sides = Sequence[tuple[Mapping[str, Level], int]]


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
    sides = _sides(part)
    shares = None if sides is None else _shares(cells, sides)
    return _grounded(_KINDS[part.kind](cells, part), cells, part, shares)


def difference_of(
    cells: Cells, part: Part, first: Mapping[str, Level], second: Mapping[str, Level]
) -> Effect:
    """A part's measure at the second levels less that at the first; fields that neither names are
    averaged over."""
    low, high = _whole(cells.mean(first), cells.mean(second))
    named = f"{_measure(part)} with {_levels(second)} against {_levels(first)}"
    found = Effect(high - low, named, f"{_mean(low, part)} → {_mean(high, part)}")
    return _grounded(found, cells, part, _shares(cells, [(second, 1), (first, -1)]))


def _grounded(found: Effect, cells: Cells, part: Part, shares: np.ndarray | None) -> Effect:
    """With the seeds and cells that it rests on."""
    used = np.array(cells.at(part.at)) if shares is None else shares != 0
    unsteady = cells.disagreement[used]
    return replace(
        found,
        seeds=_seeds(cells, used),
        shares=shares,
        widening=widening(unsteady) if len(unsteady) else 1.0,
    )


def _seeds(cells: Cells, used: np.ndarray) -> list[int]:
    whole = ~np.isnan(cells.values[:, used]).any(axis=1)
    return [seed for seed, there in zip(cells.seeds, whole, strict=True) if there]


def _sides(part: Part) -> Sides | None:
    """The levels that are added up, each with its sign; None where it is no sum of cells."""
    if part.contrast is not None and not part.relative:
        name, first, second = part.contrast
        sides: Sides = [({name: second}, 1), ({name: first}, -1)]
    elif part.interaction is not None:
        (name, *inner), (other, *outer) = part.interaction
        sides = [
            ({name: level, other: where}, 1 if (place == 1) == (there == 1) else -1)
            for place, level in enumerate(inner)
            for there, where in enumerate(outer)
        ]
    elif part.figure is not None:
        sides = [({}, 1)]
    else:
        return None
    return [({**part.at, **levels}, sign) for levels, sign in sides]


def _shares(cells: Cells, sides: Sides) -> np.ndarray:
    """What each cell counts."""
    shares = np.zeros(len(cells.levels))
    for levels, sign in sides:
        chosen = np.array(cells.at(levels))
        shares[chosen] += sign / max(1, int(chosen.sum()))
    return shares


def _contrast(cells: Cells, part: Part) -> Effect:
    assert part.contrast is not None
    name, first, second = part.contrast
    sides = [cells.mean({**part.at, name: level}) for level in (first, second)]
    low, high = _whole(*sides)
    values = high / low - 1 if part.relative else high - low
    named = f"{_measure(part)} with {_versus(part.contrast)}{_at(part.at)}"
    return Effect(values, named, f"{_mean(low, part)} → {_mean(high, part)}")


def _interaction(cells: Cells, part: Part) -> Effect:
    assert part.interaction is not None
    inner, (name, *levels) = part.interaction
    field, first, second = inner
    effects = [
        cells.mean({**part.at, name: level, field: second})
        - cells.mean({**part.at, name: level, field: first})
        for level in levels
    ]
    low, high = _whole(*effects)
    named = (
        f"the effect on {_measure(part)} of {_versus(inner)}, with {_versus(part.interaction[1])}"
        f"{_at(part.at)}"
    )
    scale, unit = (100, " points") if _mean(low, part).endswith("%") else (1, "")
    means = [f"{scale * side.mean():+.3g}{unit}" if len(side) else "–" for side in (low, high)]
    return Effect(high - low, named, f"effect {means[0]} → {means[1]}")


def _best(cells: Cells, part: Part) -> Effect:
    assert part.best is not None
    own = cells.mean({**part.at, **part.best})
    levels = cells.others(part.best, part.at)
    others = [cells.mean({**part.at, **other}) for other in levels]
    named = f"{_measure(part)} with {_levels(part.best)} against the best other{_at(part.at)}"
    if not others:
        return Effect(np.empty(0), named, "–")
    own, *others = _whole(own, *others)
    extreme = np.max if part.direction == "higher" else np.min
    values = own - extreme(others, axis=0)
    if not len(own):
        return Effect(values, named, "–")
    means = [side.mean() for side in others]
    rival = int(np.argmax(means) if part.direction == "higher" else np.argmin(means))
    behind = f"{_mean(own, part)} against {_mean(others[rival], part)} ({_levels(levels[rival])})"
    return Effect(values, named, behind)


def _figure(cells: Cells, part: Part) -> Effect:
    (values,) = _whole(cells.mean(part.at))
    return Effect(values, f"{_measure(part)}{_at(part.at)}", "")


def _influence(cells: Cells, part: Part) -> Effect:
    """Main effects' shares of the variance: each the variance of a field's level means over that of
    all cells, which add up to 1 less the interactions' share."""
    (whole,) = _whole(cells.values)
    counts = [len({cell[place] for cell in cells.levels}) for place in range(len(cells.fields))]
    grid = whole.reshape(len(whole), *counts)
    total = whole.var(axis=1)
    grid, total = grid[total > 0], total[total > 0]
    shares = {}
    for axis, name in enumerate(cells.fields, 1):
        rest = tuple(each for each in range(1, grid.ndim) if each != axis)
        shares[name] = grid.mean(axis=rest).var(axis=1) / total
    own = shares[str(part.influence)]
    others = [share for name, share in shares.items() if name != part.influence]
    named = f"{part.influence}'s share of the variance of {_measure(part)} less the largest other"
    if not len(own):
        return Effect(own, named, "–")
    ranked = sorted(shares.items(), key=lambda item: -item[1].mean())
    means = ", ".join(f"{name} {share.mean():.1%}".replace("%", " %") for name, share in ranked)
    return Effect(own - np.max(others, axis=0), named, means)


_KINDS: dict[str, Callable[[Cells, Part], Effect]] = {
    "contrast": _contrast,
    "interaction": _interaction,
    "best": _best,
    "figure": _figure,
    "influence": _influence,
}


def _whole(*sides: np.ndarray) -> list[np.ndarray]:
    """The sides, without the seeds that one of them lacks; each of shape (seeds, ...)."""
    seeds = np.ones(len(sides[0]), dtype=bool)
    for side in sides:
        seeds &= ~np.isnan(side).reshape(len(side), -1).any(axis=1)
    return [side[seeds] for side in sides]


def _mean(values: np.ndarray, part: Part) -> str:
    return MEASURES[part.measure].text(float(values.mean())) if len(values) else "–"


def _measure(part: Part) -> str:
    return MEASURES[part.measure].at(part.epoch)


def _versus(contrast: Contrast) -> str:
    name, first, second = contrast
    return f"{name} {level_text(second)} against {level_text(first)}"


def _levels(levels: Mapping[str, Level]) -> str:
    return ", ".join(f"{name} {level_text(level)}" for name, level in levels.items())


def _at(levels: Mapping[str, Level]) -> str:
    return f" at {_levels(levels)}" if levels else ""
