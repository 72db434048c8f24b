"""The table of `make calibration`: coverage, false verdicts, power and bias, simulated."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from fashion_hpo.analysis.calibration import families
from fashion_hpo.analysis.calibration.simulation import (
    SLOPES,
    biases,
    family_errors,
    on_images,
    plain,
    power,
    resampled,
    tuned_studies,
    unequal,
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
    """One figure; `target` has its bounds, None if the figure is only reported."""

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
        """The row as text."""
        if self.target is None:
            aim = "reported"
        else:
            aim = " to ".join(self._number(end) for end in self.target)
        missed = "" if self.met else "   MISSED"
        return f"{self.what:62} {self.seeds:5} {self._number(self.found):>8}   {aim}{missed}"

    def _number(self, value: float) -> str:
        return f"{100 * value:.1f} %" if self.percent else f"{value:+.3f}"


def check(studies: int, seed: int) -> Iterator[Row]:
    """All rows, each from `studies` simulated studies; every draw is keyed by the seed."""
    for number, (seeds, part) in enumerate(product(SEEDS, PARTS)):
        yield from part(np.random.default_rng([seed, number]), studies, seeds)


def _plain(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    simulated = plain(draw, studies, seeds)
    yield Row("coverage, two levels", seeds, simulated.coverage, COVERAGE)
    yield Row("false verdict, two equal levels", seeds, wrong_verdicts(simulated), FALSE)
    family = family_errors(draw, studies, seeds, levels=5)
    yield Row("any false verdict, five equal levels, Holm", seeds, family, FALSE)
    for effect in (1.0, 2.0, 4.0):
        share = power(plain(draw, studies, seeds, effect))
        yield Row(f"power at a difference of {effect:g}", seeds, share)


def _unequal(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    simulated = unequal(draw, studies, seeds)
    what = "levels of variance ratio 4, uncorrelated"
    yield Row(f"coverage, {what}", seeds, simulated.paired.coverage, COVERAGE)
    yield Row(f"false verdict, {what}", seeds, wrong_verdicts(simulated.paired), FALSE)
    yield Row(f"coverage, {what}, pooled variance", seeds, simulated.pooled)
    yield Row("width without pairing, correlated seeds, over that with", seeds, simulated.unpaired)


def _tuned(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for kinds in PAIRS:
        named = f"{kinds[0]} against {kinds[1]} nuisance"
        has_target = "middling" not in kinds  # there the choice of the best point is often wrong
        simulated = tuned_studies(draw, studies, seeds, kinds)
        coverage = simulated.coverage
        yield Row(f"coverage, {named}", seeds, coverage, COVERAGE if has_target else None)
        wrong = wrong_verdicts(simulated)
        yield Row(f"false verdict, {named}", seeds, wrong, FALSE if has_target else None)
        share = power(tuned_studies(draw, studies, seeds, kinds, effect=2.0))
        yield Row(f"power at a difference of 2, {named}", seeds, share)


def _images(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for noise in (0.0, 0.5, 1.0):
        alone, both = on_images(draw, studies, seeds, noise)
        named = f"image noise {noise:g}"
        yield Row(f"coverage by seeds alone, {named}", seeds, alone.coverage)
        yield Row(f"coverage with images, {named}", seeds, both.coverage, COVERAGE)


def _resampling(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for noise in (0.5, 1.0):
        shared_fold, own_folds = resampled(draw, studies, seeds, noise)
        named = f"image noise {noise:g}"
        yield Row(
            f"coverage, one fold and subset for all seeds, {named}", seeds, shared_fold.coverage
        )
        yield Row(
            f"coverage, a fold and subset a seed, {named}", seeds, own_folds.coverage, COVERAGE
        )
        wrong = wrong_verdicts(own_folds)
        yield Row(f"false verdict, a fold and subset a seed, {named}", seeds, wrong, FALSE)


def _points(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for kind in SLOPES:
        naive, cross_fitted = biases(draw, studies, seeds, kind)
        yield Row(f"bias of the largest mean, {kind} nuisance", seeds, naive, percent=False)
        target = None if kind == "middling" else UNBIASED
        label = f"bias by cross-fitting, {kind} nuisance"
        yield Row(label, seeds, cross_fitted, target, percent=False)


def _families(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for rivals in (3, 7):
        best = families.best(draw, studies, seeds, rivals)
        yield from _beside(f"best of {rivals + 1} equal levels", seeds, best, "luckiest rival")
    influence = families.influence(draw, studies, seeds)
    yield from _beside("influence of 3 equal fields", seeds, influence, "largest rival")
    for count in (2, 6):
        parts = families.parts(draw, studies, seeds, count)
        yield from _beside(f"{count} parts at their margins", seeds, parts, "any part")
    counts = families.counts(draw, studies, seeds)
    yield from _beside("an epoch that came in half of the seeds", seeds, counts, "t interval")
    coverage = families.median_coverage(draw, studies, seeds)
    yield Row("coverage, median of a count, exact", seeds, coverage, (COVERAGE[0], 1.0))


def _looks(draw: np.random.Generator, studies: int, seeds: int) -> Iterator[Row]:
    for most in (seeds + 2, 3 * seeds):
        looks = families.several_looks(draw, studies, seeds, most)
        named = f"looks up to {most} seeds"
        yield Row(f"false verdict, {named}, 5 % a look", seeds, looks.older)
        yield Row(f"false verdict, {named}, declared", seeds, looks.here, FALSE)
        yield Row(f"coverage at the verdict, {named}", seeds, looks.coverage, COVERAGE)


def _beside(what: str, seeds: int, found: families.Compared, older: str) -> Iterator[Row]:
    """An older way's failure, and what is done here."""
    yield Row(f"false verdict, {what}, by {older}", seeds, found.older)
    yield Row(f"false verdict, {what}", seeds, found.here, FALSE)


PARTS = (_plain, _unequal, _tuned, _images, _points, _families, _looks, _resampling)
