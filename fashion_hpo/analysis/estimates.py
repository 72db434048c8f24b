"""A part's statistic as an estimate: seeds, tuning and images, all that it may be off by."""

from dataclasses import dataclass

from fashion_hpo.analysis.cells import cells_of
from fashion_hpo.analysis.effects import Effect, effect_of
from fashion_hpo.analysis.images import is_of_images, noise_of
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import Estimate
from fashion_hpo.analysis.wording import seeds
from fashion_hpo.design.claims import Part


@dataclass(frozen=True)
class Found:
    """A statistic, in words and as an estimate."""

    effect: Effect
    estimate: Estimate
    basis: str  # `3 seeds, 5,000 images`, or that the noise of the images is not known


def find(records: Records, part: Part) -> Found | None:
    """A part's statistic; None if no trial has its measure."""
    cells = cells_of(records, part)
    if cells is None:
        return None
    effect = effect_of(cells, part)
    noise = noise_of(records, part, cells, effect)
    estimate = Estimate(effect.values, effect.widening, noise)
    basis = seeds(len(effect.values))
    if noise is not None:
        basis += f", {noise.images:,} images"
    elif records.predictions is not None and is_of_images(part, effect):
        basis += ", image noise unknown"
    return Found(effect, estimate, basis)
