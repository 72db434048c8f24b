"""What intervals and verdicts promise, held against simulated studies: a table, row by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from fashion_hpo.analysis.calibration.simulation import (
    SLOPES,
    biases,
    family_errors,
    on_images,
    plain,
    power,
    tuned_studies,
    wrong_verdicts,
)

SEEDS = (3, 5, 10)
COVERAGE = (0.93, 0.97)
FALSE = (0.0, 0.06)
UNBIASED = (-0.06, 0.06)  # in standard deviations over seeds
PAIRS = (("flat", "flat"), ("flat", "steep"), ("steep", "steep"), ("middling", "middling"))
HEADER = (
    "Differences, biases and image noise are in standard deviations of one seed.\n"
    + f"{'what':62} {'seeds':>5} {'found':>8}   target"
)


@dataclass(frozen=True)
class Row:
    """One figure; `target` are its bounds, None where it is only reported."""

    what: str
    seeds: int
    found: float
    target: tuple[float, float] | None = None
    percent: bool = True

    @property
    def met(self) -> bool:
        """Whether the figure is within its bounds."""
        return self.target is None or self.target[0] <= self.found <= self.target[1]

    @property
    def line(self) -> str:
        """The row as it is printed."""
        if self.target is None:
            aim = "reported"
        else:
            aim = " to ".join(self._number(end) for end in self.target)
        missed = "" if self.met else "   MISSED"
        return f"{self.what:62} {self.seeds:5} {self._number(self.found):>8}   {aim}{missed}"

    def _number(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.percent else f"{value:+.3f}"


def check(studies: int, seed: int) -> Iterator[Row]:
    """Every row, from this many simulated studies each; every draw is keyed by the seed."""
    for number, (seeds, part) in enumerate(product(SEEDS, (_plain, _tuned, _images, _best))):
        yield from part(np.random.default_rng([seed, number]), studies, seeds)


def _plain(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    made = plain(draw, studies, seeds)
    yield Row("coverage, two levels", seeds, made.coverage, COVERAGE)
    yield Row("false verdict, two equal levels", seeds, wrong_verdicts(made), FALSE)
    family = family_errors(draw, studies, seeds, levels=5)
    yield Row("any false verdict, five equal levels, Holm", seeds, family, FALSE)
    for effect in (1.0, 2.0, 4.0):
        found = power(plain(draw, studies, seeds, effect))
        yield Row(f"power at a difference of {effect:g}", seeds, found)


def _tuned(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for kinds in PAIRS:
        named = f"{kinds[0]} against {kinds[1]} nuisance"
        sure = (
            "middling" not in kinds
        )  # where the choice is often wrong, a level is at its best less
        made = tuned_studies(draw, studies, seeds, kinds)
        yield Row(f"coverage, {named}", seeds, made.coverage, COVERAGE if sure else None)
        wrong = wrong_verdicts(made)
        yield Row(f"false verdict, {named}", seeds, wrong, FALSE if sure else None)
        found = power(tuned_studies(draw, studies, seeds, kinds, effect=2.0))
        yield Row(f"power at a difference of 2, {named}", seeds, found)


def _images(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for noise in (0.0, 0.5, 1.0):
        alone, both = on_images(draw, studies, seeds, noise)
        named = f"image noise {noise:g}"
        yield Row(f"coverage by seeds alone, {named}", seeds, alone.coverage)
        yield Row(f"coverage with images, {named}", seeds, both.coverage, COVERAGE)


def _best(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for kind in SLOPES:
        naive, ours = biases(draw, studies, seeds, kind)
        yield Row(f"bias of the largest mean, {kind} nuisance", seeds, naive, percent=False)
        target = None if kind == "middling" else UNBIASED
        yield Row(f"bias by cross-fitting, {kind} nuisance", seeds, ours, target, percent=False)
