"""Estimates over seeds, their intervals, and what these say of a margin."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

NORMAL = 1.959964  # the normal distribution's 97.5 % quantile
FOLDS_WORTH = 11  # 50,000 training and 5,000 validation images over a fold's 5,000
NO_WIDTH = 1e-12  # equal but for rounding
LARGEST_SEED_COUNT = 1_000  # beyond this, more seeds are no answer


class Interval(NamedTuple):
    """A mean and its 95 % interval; the ends are NaN for fewer than two values."""

    mean: float
    low: float
    high: float

    def within(self, bounds: tuple[float, float]) -> "Interval":
        """The interval without the values that the quantity cannot have."""
        low, high = np.clip((self.low, self.high), *bounds).tolist()
        return Interval(self.mean, low, high)


class ImageNoise(NamedTuple):
    """The variance that a mean has because its images are a sample, and how many they are.

    Further seeds meet the same images: they do not lower it.
    """

    variance: float
    images: int


UNKNOWN = ImageNoise(math.nan, 0)
"""An estimate with this noise has no interval, and is never set apart from anything."""


@dataclass(frozen=True)
class Estimate:
    """The mean over seeds of a value that each seed has, and how far the mean may be off.

    Let a be the (widened) variance of the mean over n seeds, and b that of the N images: the mean's
    variance is a + b, with (a + b)² / (a² / (n − 1) + b² / (N − 1)) degrees of freedom
    (Satterthwaite 1946).  An interval is never narrower than by the seeds alone.
    """

    values: np.ndarray  # (seeds,)
    widening: float = 1.0  # factor on the seeds' variance; above 1 if the values are correlated
    images: ImageNoise | None = None

    @cached_property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(self.values.mean())

    def minus(self, figure: float) -> "Estimate":
        """The same from another zero."""
        return replace(self, values=self.values - figure)

    def negative(self) -> "Estimate":
        """The same, turned round."""
        return replace(self, values=-self.values)

    def interval(self, confidence: float = 0.95) -> Interval:
        """Its interval, without ends for fewer than two seeds."""
        if len(self.values) < 2:
            return Interval(self.mean, math.nan, math.nan)
        half = float(self.half_widths(np.array([len(self.values)]), confidence)[0])
        return Interval(self.mean, self.mean - half, self.mean + half)

    def half_widths(self, counts: np.ndarray, confidence: float = 0.95) -> np.ndarray:
        """What the interval's half width would be with these numbers of seeds."""
        tail = 0.5 + confidence / 2
        alone = stdtrit(counts - 1.0, tail) * np.sqrt(self._seeds_variance(counts))
        if self.images is None:
            return np.asarray(alone)
        scales, freedom = self._scales(counts)
        return np.asarray(np.maximum(alone, stdtrit(freedom, tail) * scales))

    @property
    def has_width(self) -> bool:
        """Whether the interval has a width above 0; without one, nothing can be decided."""
        has_noise = self.images is not None and self.images.variance > 0
        return len(self.values) > 1 and (has_noise or bool(np.ptp(self.values) > NO_WIDTH))

    def seeds_to_decide(self, margin: float, confidence: float = 0.95) -> int | None:
        """How many seeds would set the mean apart from the margin, if it and its spread stay as
        they are; None if more than a thousand."""
        distance = abs(self.mean - margin)
        counts = np.arange(len(self.values) + 1, LARGEST_SEED_COUNT + 1)
        enough = self.half_widths(counts, confidence) < distance
        return int(counts[enough.argmax()]) if enough.any() else None

    def p_above(self, figure: float) -> float:
        """One-sided: how probable so high a mean is if the true one is `figure`, at most."""
        return self._tail(self.mean - figure)

    def p_below(self, figure: float) -> float:
        """The same of so low a mean."""
        return self._tail(figure - self.mean)

    def _tail(self, distance: float) -> float:
        counts = np.array([len(self.values)])
        alone = np.sqrt(self._seeds_variance(counts))
        by_seeds = _tail(distance, float(alone[0]), len(self.values) - 1)
        if self.images is None:
            return by_seeds
        scales, freedom = self._scales(counts)
        by_both = _tail(distance, float(scales[0]), float(freedom[0]))
        return float(np.max([by_seeds, by_both]))  # not a number, if one is

    def _seeds_variance(self, counts: np.ndarray) -> np.ndarray:
        return self._variance / counts

    @cached_property
    def _variance(self) -> float:
        """Of the seeds, widened; NaN for one seed."""
        return self.widening * float(self.values.var(ddof=1))

    def _scales(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Standard errors and degrees of freedom with these numbers of seeds."""
        seeds = self._seeds_variance(counts)
        if self.images is None or self.images.variance <= 0:
            return np.sqrt(seeds), counts - 1.0
        images = self.images.variance
        whole = seeds + images
        freedom = whole**2 / (seeds**2 / (counts - 1) + images**2 / (self.images.images - 1))
        return np.sqrt(whole), freedom


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval of a mean.  With 3 to 5 seeds a bootstrap would cover far too little.

    Raises ValueError for no values at all.
    """
    array = np.asarray(values, dtype=float)
    if len(array) == 0:
        raise ValueError("values is empty; a mean needs at least one.")
    return Estimate(array).interval(confidence)


def wilson(share: float, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `count` images (Wilson 1927, equation for p₁ and p₂).

    Unlike the normal interval it stays within 0 and 1.  Not from scipy.stats, whose import takes a
    second.
    """
    hits = round(share * count)
    share, z = hits / count, float(ndtri(0.975))
    scale = 2 * (count + z**2)
    center = (2 * count * share + z**2) / scale
    half = z / scale * math.sqrt(4 * count * share * (1 - share) + z**2)
    return (center - half if hits else 0.0), (center + half if hits < count else 1.0)


def image_noise(values: np.ndarray) -> ImageNoise:
    """What the finite images add to the variance of the mean of `values`, shape (seeds, images).

    A value is a seed's mean, plus what an image does to all seeds, plus the rest.  The variance
    over seeds has the first and the last part in it; this is the second, as the two-way analysis
    of variance has it: (mean square of the images − mean square of the rest) / (seeds × images),
    not below 0 (Dorfman, Berbaum and Metz 1992, for readers and cases).  Resampling the images
    many times would give the same, slower.  With one seed the rest counts as the images'.
    """
    seeds, images = values.shape
    by_image = values.mean(axis=0)
    of_images = seeds * float(by_image.var(ddof=1))
    if seeds == 1:
        return ImageNoise(of_images / images, images)
    rest = values - values.mean(axis=1, keepdims=True) - by_image + values.mean()
    of_rest = float((rest**2).sum()) / ((seeds - 1) * (images - 1))
    return ImageNoise(max(0.0, of_images - of_rest) / (seeds * images), images)


def fold_noise(values: Sequence[np.ndarray]) -> ImageNoise:
    """The variance that the finite images add to a mean over seeds with a fold each.

    The arguments are the values of the images, shape (images,), of each seed.  The spread of the
    seeds contains the noise of the folds.  But all folds come from the same images, eleven times
    as many as a fold has, and more seeds do not change these.  They add at most the variance of
    one image divided by their number.
    """
    images = FOLDS_WORTH * len(values[0])
    return ImageNoise(float(np.mean([seed.var(ddof=1) for seed in values])) / images, images)


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P values corrected for their number (Holm 1979): the k-th smallest of m times m − k + 1, and
    none below a smaller one's."""
    given = np.asarray(p_values, dtype=float)
    order = np.argsort(given, kind="stable")
    corrected = np.empty_like(given)
    steps = given[order] * np.arange(len(given), 0, -1)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def _tail(distance: float, scale: float, freedom: float) -> float:
    """Of Student's t beyond distance / scale."""
    if scale == 0:
        return 0.5 if distance == 0 else float(distance < 0)
    return float(stdtr(freedom, -distance / scale))
