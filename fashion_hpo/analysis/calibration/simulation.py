"""Simulated studies with a known truth, analysed by the functions for real studies.

The unit is the standard deviation of one trial over seeds.  A study has two or more levels; at each
nuisance point of a level, a seed's value is the sum of the point's mean, an effect of the seed
(shared by the levels, which are paired) and noise.  The truth of a level is the mean of its best
point.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from fashion_hpo.analysis.intervals import FOLDS_WORTH, Estimate, fold_noise, image_noise
from fashion_hpo.analysis.statistics.comparisons import BETTER, WORSE, judge_all
from fashion_hpo.analysis.statistics.verdicts import REFUTED, REPRODUCED, Asked, decide
from fashion_hpo.analysis.tuning import cross_fit, widening
from fashion_hpo.design.claim_kinds.kind import Part

POINTS = 4
SLOPES: Mapping[str, float] = {"flat": 0.0, "middling": 1.0, "steep": 8.0}
"""How much worse each nuisance point is than the previous one."""
IMAGES = 400
CLAIM = Part("value", "higher", contrast=("level", 0, 1))


@dataclass(frozen=True)
class Studies:
    """Estimated differences between two levels in many studies; the true difference is `effect`."""

    effect: float
    estimates: Sequence[Estimate]

    @property
    def coverage(self) -> float:
        """The share of studies whose 95 % interval includes the truth."""
        ends = np.array([estimate.interval()[1:] for estimate in self.estimates])
        return float(((ends[:, 0] <= self.effect) & (self.effect <= ends[:, 1])).mean())

    @property
    def bias(self) -> float:
        """The bias of the estimated difference."""
        return float(np.mean([estimate.mean for estimate in self.estimates])) - self.effect

    def share(self, *words: str) -> float:
        """The share of studies in which the claim "the second level is higher" gets one of these
        verdicts."""
        verdicts = [decide([Asked(estimate, CLAIM)])[0] for estimate in self.estimates]
        return float(np.mean([verdict in words for verdict in verdicts]))


def plain(draw: np.random.Generator, studies: int, seeds: int, effect: float = 0.0) -> Studies:
    """Two levels without nuisance points, paired by seed, which are alike in variance."""
    values = _values(draw, studies, seeds, ("steep", "steep"), effect)[..., 0]
    return Studies(effect, [Estimate(gains) for gains in values[:, 1] - values[:, 0]])


class Unequal(NamedTuple):
    """Two of four levels, of which one has four times the variance of the others."""

    paired: Studies  # as studies are analysed
    pooled: float  # coverage, with the variance of all levels together
    unpaired: float  # width of an interval without pairing over that with, if levels share seeds


def unequal(draw: np.random.Generator, studies: int, seeds: int) -> Unequal:
    """Four equal levels of unequal variance; seeds have no effect in common but in `unpaired`."""
    spread = np.array([1.0, 1.0, 1.0, 2.0])[:, None]
    values = spread * draw.standard_normal((studies, len(spread), seeds))
    gains = values[:, 3] - values[:, 0]
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=2, keepdims=True)
    rest += values.mean(axis=(1, 2), keepdims=True)
    freedom = (len(spread) - 1) * (seeds - 1)
    pooled = np.sqrt(2 * (rest**2).sum(axis=(1, 2)) / freedom / seeds)
    covered = abs(gains.mean(axis=1)) <= stdtrit(freedom, 0.975) * pooled
    shared = values[:, [0, 3]] + 2 * draw.standard_normal((studies, 1, seeds))
    apart = np.sqrt(shared.var(axis=2, ddof=1).sum(axis=1)).mean()
    together = gains.std(axis=1, ddof=1).mean()
    paired = Studies(0.0, [Estimate(study) for study in gains])
    return Unequal(paired, float(covered.mean()), float(apart / together))


def tuned_studies(
    draw: np.random.Generator, studies: int, seeds: int, kinds: tuple[str, str], effect: float = 0.0
) -> Studies:
    """Two levels, each tuned over its nuisance points by cross-fitting."""
    values = _values(draw, studies, seeds, kinds, effect)
    choice = cross_fit(values)
    best = (choice.weights * values).sum(axis=-1)
    pairs = zip(best[:, 1] - best[:, 0], choice.disagreement, strict=True)
    return Studies(effect, [Estimate(gains, widening(unsteady)) for gains, unsteady in pairs])


def biases(draw: np.random.Generator, studies: int, seeds: int, kind: str) -> tuple[float, float]:
    """The biases of a tuned level: by the largest mean over all seeds, and by cross-fitting."""
    values = _values(draw, studies, seeds, (kind,), 0.0)[:, 0]
    cross_fitted = (cross_fit(values).weights * values).sum(axis=-1).mean()
    return float(values.mean(axis=1).max(axis=-1).mean()), float(cross_fitted)


def on_images(
    draw: np.random.Generator, studies: int, seeds: int, noise: float
) -> tuple[Studies, Studies]:
    """Two equal levels measured on the same images: with intervals from seeds alone, and with
    intervals from seeds and images.

    `noise` is the standard deviation of the mean that the images cause, in units of that of a seed.
    """
    by_seeds, by_both = [], []
    for _ in range(studies):
        of_images = noise * np.sqrt(IMAGES) * draw.standard_normal(IMAGES)
        rest = draw.standard_normal((seeds, IMAGES)) * np.sqrt(IMAGES / 2)
        values = draw.standard_normal((seeds, 1)) * np.sqrt(0.5) + of_images + rest
        means = values.mean(axis=1)
        by_seeds.append(Estimate(means))
        by_both.append(Estimate(means, images=image_noise(values)))
    return Studies(0.0, by_seeds), Studies(0.0, by_both)


def resampled(
    draw: np.random.Generator, studies: int, seeds: int, noise: float
) -> tuple[Studies, Studies]:
    """Two equal levels: all seeds on one subset and fold, with intervals from seeds alone; and each
    seed on a subset and a fold of its own.

    `noise` is the standard deviation of the mean that a fold's images cause, and half of it that of
    a training subset, in units of that of a seed.
    """
    shared_fold, own_folds = [], []
    for _ in range(studies):
        images = noise * np.sqrt(IMAGES) * draw.standard_normal(FOLDS_WORTH * IMAGES)
        trained = draw.standard_normal(seeds)
        rest = draw.standard_normal((seeds, IMAGES)) * np.sqrt(IMAGES / 2)
        subsets = noise / 2 * draw.standard_normal(seeds)
        folds = [draw.choice(len(images), IMAGES, replace=False) for _ in range(seeds)]
        fixed = trained * np.sqrt(0.5) + (images[folds[0]] + rest).mean(axis=1) + subsets[0]
        shared_fold.append(Estimate(fixed))
        seen = (trained * np.sqrt(0.5) + subsets)[:, None] + images[np.stack(folds)] + rest
        own_folds.append(Estimate(seen.mean(axis=1), images=fold_noise(list(seen))))
    return Studies(0.0, shared_fold), Studies(0.0, own_folds)


def family_errors(draw: np.random.Generator, studies: int, seeds: int, levels: int) -> float:
    """The share of studies of equal levels in which any level is called better or worse."""
    values = _values(draw, studies, seeds, ("steep",) * levels, 0.0)[..., 0]
    wrong = 0
    for study in values:
        comparisons = judge_all([Estimate(gains) for gains in study[1:] - study[0]])
        wrong += bool({comparison.word for comparison in comparisons} & {BETTER, WORSE})
    return wrong / studies


def wrong_verdicts(studies: Studies) -> float:
    """The share of verdicts, either way, if there is no difference."""
    return studies.share(REPRODUCED, REFUTED)


def power(studies: Studies) -> float:
    """The share of reproduced claims if the difference is true."""
    return studies.share(REPRODUCED)


def _values(
    draw: np.random.Generator, studies: int, seeds: int, kinds: Sequence[str], effect: float
) -> np.ndarray:
    """(studies, levels, seeds, points); the last level is higher by `effect`."""
    slopes = np.array([SLOPES[kind] for kind in kinds])
    truth = -slopes[:, None] * np.arange(POINTS)
    truth[-1] += effect
    order = draw.permuted(np.tile(np.arange(POINTS), (studies, 1)), axis=1)
    truth = truth[:, order].swapaxes(0, 1)  # the best point differs between studies
    shared = draw.standard_normal((studies, 1, seeds, 1))
    noise = draw.standard_normal((studies, len(kinds), seeds, POINTS))
    return np.asarray(truth[:, :, None, :] + shared + noise)
