"""A part of a claim, and the base class of the kinds of claim."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, TypeVar, get_args

import numpy as np

from fashion_hpo.design.checks import check_choice, check_mapping, plain
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.sentences import did_you_mean

Level = bool | int | float | str
Direction = Literal["lower", "higher", "same"]
Design = Mapping[str, tuple[Level, ...]]
"""The scientific fields and their levels."""
Sides = Sequence[tuple[Mapping[str, Level], int]]
"""Levels whose means are added up, each with its sign."""
KINDS: dict[str, type["Kind"]] = {}
"""The kinds of claim, by the keyword that study files write."""


class Cells(Protocol):
    """A measure in every cell of a design: what a statistic is computed from."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The scientific fields."""

    @property
    def levels(self) -> list[tuple[Level, ...]]:
        """The levels of each cell, the last field changing fastest."""

    @property
    def values(self) -> np.ndarray:
        """Shape (seeds, cells), NaN where a cell has no value."""

    def at(self, where: Mapping[str, Level]) -> list[bool]:
        """Which cells have these levels."""

    def mean(self, where: Mapping[str, Level]) -> np.ndarray:
        """The mean over the cells at these levels, shape (seeds,), NaN where one has no value."""


class Statistic(NamedTuple):
    """One value for each seed that has every cell it needs, its name, and the means in words.

    `sides` are the means that it adds up; None for a statistic that is no such sum.
    """

    values: np.ndarray
    name: str
    means: str
    sides: Sides | None = None


class Scale(NamedTuple):
    """How a statistic is written: times 100 or as it is, its unit, and "+" if it is signed."""

    is_percentage: bool
    unit: str
    sign: str = "+"


@dataclass(frozen=True)
class Kind(ABC):
    """What one kind of claim compares: its check, its statistic and its words.

    `value` is what the study file gives for the kind's keyword.
    """

    value: Any
    directions: ClassVar[tuple[str, ...]] = get_args(Direction)
    may_be_relative: ClassVar[bool] = False

    @abstractmethod
    def check(self, where: str, part: "Part", scientific: Design) -> None:
        """Raise ValueError, beginning with `where`, for a value that the design cannot answer."""

    @abstractmethod
    def statistics(self, cells: Cells, part: "Part") -> list[Statistic]:
        """The numbers that the claim is about, all of which must hold: one, or one a rival.

        Never the largest or smallest of several noisy numbers: it is biased.
        """

    @property
    def compared(self) -> list[str]:
        """The fields whose levels are compared."""
        return []

    def scale(self, part: "Part") -> Scale:
        """How the statistic is written: as a difference, unless the kind says otherwise."""
        is_share = MEASURES[part.measure].is_share
        return Scale(is_share, " points" if is_share else "")

    def figure(self, epochs: int) -> float | None:
        """What the statistic is claimed to be beyond; None for 0."""
        return None


K = TypeVar("K", bound=type[Kind])


def claim_kind(kind: K) -> K:
    """Register a kind of claim; its keyword is the name of its class in lower case."""
    KINDS[kind.__name__.lower()] = kind
    return kind


@dataclass(frozen=True, init=False)
class Part:
    """One statistic and what is claimed of it; exactly one kind is `claimed`.

    The statistic is claimed to be lower, or higher, by more than `margin`; or, if two sides are
    claimed to be the same, to differ from 0 by less.
    """

    measure: str
    direction: Direction | None
    margin: float
    at: Mapping[str, Level]  # levels of other fields to look at
    untuned: bool  # at the base's own nuisance values, not at each level's best
    epoch: int | None  # where on the curve, if not at its end
    relative: bool  # a contrast as a share of its first side, and the margin as well
    claimed: Mapping[str, Any]  # keyword of the kind → value

    def __init__(
        self,
        measure: str = "",
        direction: Direction | None = None,
        *,
        margin: float = 0.0,
        at: Mapping[str, Level] | None = None,
        untuned: bool = False,
        epoch: int | None = None,
        relative: bool = False,
        **claimed: Any,
    ) -> None:
        for name in claimed:
            if name not in KINDS:
                raise ValueError(_no_field(type(self), name))
        given = {name: value for name, value in claimed.items() if value is not None}
        self._set(measure=measure, direction=direction, margin=margin, at={} if at is None else at)
        self._set(untuned=untuned, epoch=epoch, relative=relative, claimed=given)

    def _set(self, **values: Any) -> None:
        """Set fields, numbers of numpy's as Python's."""
        for name, value in values.items():
            object.__setattr__(self, name, plain(value))

    @property
    def kind(self) -> Kind:
        """The kind of claim, once it is checked that there is exactly one."""
        ((name, value),) = self.claimed.items()
        return KINDS[name](value)

    @property
    def name(self) -> str:
        """The measure, as people read it."""
        return MEASURES[self.measure].at(self.epoch)

    def mean_text(self, values: np.ndarray) -> str:
        """The mean of the measure's values, in words."""
        return MEASURES[self.measure].text(float(values.mean())) if len(values) else "–"


def _no_field(claim: type["Part"], name: str) -> str:
    near = did_you_mean(name, [*(field.name for field in fields(claim)), *KINDS])
    return f"a claim has no {name!r}; {near or 'choose one of ' + ', '.join(KINDS) + '.'}"


def whole(*sides: np.ndarray) -> list[np.ndarray]:
    """The sides without the seeds that one of them lacks; each of shape (seeds, ...)."""
    seeds = np.ones(len(sides[0]), dtype=bool)
    for side in sides:
        seeds &= ~np.isnan(side).reshape(len(side), -1).any(axis=1)
    return [side[seeds] for side in sides]


def difference_of(
    cells: Cells, part: "Part", first: Mapping[str, Level], second: Mapping[str, Level], named: str
) -> Statistic:
    """A part's measure at the second levels less that at the first; fields that neither names are
    averaged over."""
    low, high = whole(cells.mean(first), cells.mean(second))
    means = f"{part.mean_text(low)} → {part.mean_text(high)}"
    return Statistic(high - low, named, means, [(second, 1), (first, -1)])


def check_levels(where: str, role: str, chosen: object, scientific: Design) -> None:
    """Raise ValueError unless these are fields of the design and levels of theirs."""
    check_mapping(f"{where}: {role}", chosen)
    assert isinstance(chosen, Mapping)
    for name, level in chosen.items():
        check_choice(f"{where}: {role}", name, scientific)
        check_choice(f"{where}: level of {name}", level, scientific[name])


def levels_text(levels: Mapping[str, Level]) -> str:
    """`dropout 0.5, batch_size 32`."""
    return ", ".join(f"{name} {level_text(level)}" for name, level in levels.items())


def at_text(levels: Mapping[str, Level]) -> str:
    """` at batch_size 32`; "" for no levels."""
    return f" at {levels_text(levels)}" if levels else ""
