"""Simulated studies whose truth is known, judged by the functions that judge real ones.

The unit is the standard deviation of one trial over seeds.  A study has two levels or more; at each
nuisance point of a level every seed has a value, the seed's own part (shared by the levels, which
are paired) and noise.  A level's truth is its best point's mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fashion_hpo.analysis.statistics.comparisons import BETTER, WORSE, judge_all
from fashion_hpo.analysis.statistics.intervals import Estimate, image_noise
from fashion_hpo.analysis.statistics.tuning import cross_fit, widening
from fashion_hpo.analysis.statistics.verdicts import REFUTED, REPRODUCED, decide
from fashion_hpo.design.claim_kinds.kind import Part

POINTS = 4
SLOPES: Mapping[str, float] = {"flat": 0.0, "middling": 1.0, "steep": 8.0}
"""By how much each nuisance point is worse than the one before it."""
IMAGES = 400
CLAIM = Part("value", "higher", contrast=("level", 0, 1))


@dataclass(frozen=True)
class Studies:
    """Differences between two levels in many studies, and how they were judged.

    values: (studies, seeds); the true difference is `effect`.
    """

    effect: float
    estimates: Sequence[Estimate]

    @property
    def coverage(self) -> float:
        """The share of studies whose 95 % interval has the truth in it."""
        ends = np.array([each.interval()[1:] for each in self.estimates])
        return float(((ends[:, 0] <= self.effect) & (self.effect <= ends[:, 1])).mean())

    @property
    def bias(self) -> float:
        """Of the estimated difference."""
        return float(np.mean([each.mean for each in self.estimates])) - self.effect

    def share(self, *words: str) -> float:
        """How often the claim that the second level is higher gets one of these verdicts."""
        found = [decide(each, CLAIM)[0] for each in self.estimates]
        return float(np.mean([word in words for word in found]))


def plain(draw: np.random.Generator, studies: int, seeds: int, effect: float = 0.0) -> Studies:
    """Two levels without nuisance points, paired by seed."""
    values = _values(draw, studies, seeds, ("steep", "steep"), effect)[..., 0]
    return Studies(effect, [Estimate(each) for each in values[:, 1] - values[:, 0]])


def tuned_studies(
    draw: np.random.Generator, studies: int, seeds: int, kinds: tuple[str, str], effect: float = 0.0
) -> Studies:
    """Two levels, each at its best nuisance point, by cross-fitting."""
    values = _values(draw, studies, seeds, kinds, effect)
    choice = cross_fit(values)
    best = (choice.weights * values).sum(axis=-1)
    pairs = zip(best[:, 1] - best[:, 0], choice.disagreement, strict=True)
    return Studies(effect, [Estimate(each, widening(unsteady)) for each, unsteady in pairs])


def biases(draw: np.random.Generator, studies: int, seeds: int, kind: str) -> tuple[float, float]:
    """Of a level's best over nuisance: by the largest mean of all seeds, and by cross-fitting."""
    values = _values(draw, studies, seeds, (kind,), 0.0)[:, 0]
    ours = (cross_fit(values).weights * values).sum(axis=-1).mean()
    return float(values.mean(axis=1).max(axis=-1).mean()), float(ours)


def on_images(
    draw: np.random.Generator, studies: int, seeds: int, noise: float
) -> tuple[Studies, Studies]:
    """Two equal levels measured on the same finite images: judged by seeds alone, and by both.

    `noise` is the standard deviation, in that of a seed's mean, that the images give the mean.
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


def family_errors(draw: np.random.Generator, studies: int, seeds: int, levels: int) -> float:
    """The share of studies of equal levels in which any is called better or worse."""
    values = _values(draw, studies, seeds, ("steep",) * levels, 0.0)[..., 0]
    wrong = 0
    for study in values:
        words = {each.word for each in judge_all([Estimate(row) for row in study[1:] - study[0]])}
        wrong += bool(words & {BETTER, WORSE})
    return wrong / studies


def wrong_verdicts(studies: Studies) -> float:
    """Claims of a difference, either way, where there is none."""
    return studies.share(REPRODUCED, REFUTED)


def power(studies: Studies) -> float:
    """Claims of a true difference that are reproduced."""
    return studies.share(REPRODUCED)


def _values(
    draw: np.random.Generator, studies: int, seeds: int, kinds: Sequence[str], effect: float
) -> np.ndarray:
    """(studies, levels, seeds, points); the last level is higher by `effect`."""
    slopes = np.array([SLOPES[kind] for kind in kinds])
    truth = -slopes[:, None] * np.arange(POINTS)
    truth[-1] += effect
    order = draw.permuted(np.tile(np.arange(POINTS), (studies, 1)), axis=1)
    truth = truth[:, order].swapaxes(0, 1)  # the best point is another in each study
    shared = draw.standard_normal((studies, 1, seeds, 1))
    noise = draw.standard_normal((studies, len(kinds), seeds, POINTS))
    return np.asarray(truth[:, :, None, :] + shared + noise)
