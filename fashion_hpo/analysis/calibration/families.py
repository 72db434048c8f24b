"""Verdicts that rest on several comparisons, on counts or on several looks, and older ways to them.

Each function simulates studies whose claim lies just at its margin, where no verdict is right, and
returns the share of false verdicts by an older way and by the functions for real studies.
"""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from fashion_hpo.analysis.exact import Counted
from fashion_hpo.analysis.intervals import Estimate
from fashion_hpo.analysis.statistics.cells import Cells
from fashion_hpo.analysis.statistics.effects import effects_of
from fashion_hpo.analysis.statistics.verdicts import (
    REFUTED,
    REPRODUCED,
    UNDECIDED,
    Asked,
    decide,
    weakest,
)
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.looks import error_levels, looks

HIGHER = Part("value", "higher", contrast=("level", 0, 1))
LOWER = Part("parting_epoch", "lower", figure=0.0)
FACTORS = ("first", "second", "third")
EPOCHS = 20


class Compared(NamedTuple):
    """Shares of false verdicts."""

    older: float
    here: float


def best(draw: np.random.Generator, studies: int, seeds: int, rivals: int) -> Compared:
    """The claim "the first level is the best", where all levels are equal.

    The older method compared the level with the best rival of each seed.
    """
    part = Part("value", "higher", best={"level": 0})
    older, here = [], []
    for _ in range(studies):
        values = draw.standard_normal((seeds, rivals + 1))
        luckiest = values[:, 0] - values[:, 1:].max(axis=1)
        older.append(_word([luckiest]))
        here.append(_word_of(_cells(values, ("level",), [(n,) for n in range(rivals + 1)]), part))
    return Compared(_false(older), _false(here))


def influence(draw: np.random.Generator, studies: int, seeds: int) -> Compared:
    """The claim "the first field has most influence", where three fields have equal influence.

    The older method compared the field with the most influential rival of each seed.
    """
    part = Part("value", "higher", influence="first")
    levels = list(product((0, 1), repeat=len(FACTORS)))
    older, here = [], []
    for _ in range(studies):
        cells = _cells(draw.standard_normal((seeds, len(levels))), FACTORS, levels)
        gains = [effect.values for effect in effects_of(cells, part)]
        older.append(_word([np.min(gains, axis=0)]))
        here.append(_word_of(cells, part))
    return Compared(_false(older), _false(here))


def parts(draw: np.random.Generator, studies: int, seeds: int, count: int) -> Compared:
    """A claim of several parts, each at its margin.

    In the older method any refuted part refuted the claim.
    """
    older, here = [], []
    for _ in range(studies):
        values = list(draw.standard_normal((count, seeds)))
        older.append(weakest([_word([part]) for part in values]))
        here.append(_word(values))
    return Compared(_false(older), _false(here))


def counts(draw: np.random.Generator, studies: int, seeds: int) -> Compared:
    """ "The losses part in most trainings", where half of them do, late; older: a t interval of
    the epoch, epochs + 1 where they never do."""
    older, here = [], []
    for _ in range(studies):
        has_parted = draw.random(seeds) < 0.5
        epochs = np.where(has_parted, draw.integers(EPOCHS // 2, EPOCHS, seeds), EPOCHS + 1.0)
        older.append(decide([_Careless(Estimate(epochs - EPOCHS), LOWER)])[0])
        here.append(decide([Asked(Counted(epochs - EPOCHS), LOWER)])[0])
    return Compared(_false(older), _false(here))


def median_coverage(draw: np.random.Generator, studies: int, seeds: int) -> float:
    """How often the interval of a median count has the median in it."""
    covered = []
    for values in draw.geometric(0.3, (studies, seeds)):
        _, low, high = Counted(values.astype(float)).interval()
        covered.append(not (low > 2 or high < 2))  # of that distribution the median is 2
    return float(np.mean(covered))


class Looks(NamedTuple):
    """False verdicts at any look, and how often the interval at the last has the truth in it."""

    older: float
    here: float
    coverage: float


def several_looks(draw: np.random.Generator, studies: int, first: int, most: int) -> Looks:
    """Two equal levels, looked at while seeds are added until there is a verdict; older: at 5 %
    a look."""
    planned = looks(first, most)
    errors = error_levels(planned)
    older, here, covered = [], [], []
    for values in draw.standard_normal((studies, most)):
        asked = [Asked(Estimate(values[:count]), HIGHER) for count in planned]
        older.append(
            next((w for each in asked if (w := decide([each])[0]) != UNDECIDED), UNDECIDED)
        )
        for each, error in zip(asked, errors, strict=True):
            word = decide([each], error)[0]
            interval = each.estimate.interval(1 - error)
            if word != UNDECIDED:
                break
        here.append(word)
        covered.append(interval.low <= 0 <= interval.high)
    return Looks(_false(older), _false(here), float(np.mean(covered)))


class _Careless(Asked):
    """What is decided by an interval without width too."""

    @property
    def p_values(self) -> tuple[float, float]:
        """As of any estimate."""
        return self.estimate.p_below(0.0), self.estimate.p_above(0.0)


def _cells(values: np.ndarray, fields: tuple[str, ...], levels: list[tuple[int, ...]]) -> Cells:
    return Cells(fields, list(levels), values, list(range(len(values))), np.zeros(len(levels)))


def _word_of(cells: Cells, part: Part) -> str:
    return weakest(decide([Asked(Estimate(e.values), part) for e in effects_of(cells, part)]))


def _word(values: Sequence[np.ndarray]) -> str:
    """The word of a claim that all these means are above 0."""
    return weakest(decide([Asked(Estimate(each), HIGHER) for each in values]))


def _false(words: Sequence[str]) -> float:
    return float(np.mean([word in (REPRODUCED, REFUTED) for word in words]))
