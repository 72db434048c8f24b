"""A statistic as an estimate: seeds, tuning and images, all that it may be off by.

Verdicts, comparisons, checks, tables and figures of a design take their intervals from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import Cells, cells_of
from fashion_hpo.analysis.statistics.effects import Effect, effect_between, effects_of
from fashion_hpo.analysis.statistics.exact import Constant, Counted
from fashion_hpo.analysis.statistics.image_noise import basis, noise_of
from fashion_hpo.analysis.statistics.intervals import UNKNOWN, Estimate
from fashion_hpo.analysis.wording import seeds
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.measures import EPOCHS, MEASURES
from fashion_hpo.design.spec import Level
from fashion_hpo.stores.predictions import NoPredictionsError


@dataclass(frozen=True)
class Found:
    """A statistic, in words and as an estimate.

    Where evidence is `missing` that the interval needs, there is no interval: one without it would
    be too narrow.
    """

    effect: Effect
    estimate: Estimate
    basis: str  # `3 seeds, 5,000 images`, or why there is no interval
    missing: NoPredictionsError | None = None


def find(records: Records, part: Part) -> Found | None:
    """The statistic of a part that has one; None if no trial has its measure."""
    statistics = find_all(records, part)
    return statistics[0] if statistics else None


def find_all(records: Records, part: Part) -> list[Found]:
    """A part's statistics, all of which its claim is about; none if no trial has its measure."""
    cells = cells_of(records, part)
    if cells is None:
        return []
    return [_found(records, part, cells, effect) for effect in effects_of(cells, part)]


def at_level(records: Records, measure: str, levels: Mapping[str, Level]) -> Found | None:
    """A measure at these levels, tuned; None if no trial there has it."""
    found = find(records, _of_measure(measure, levels))
    return found if found is not None and len(found.effect.values) else None


def between(
    records: Records, measure: str, first: Mapping[str, Level], second: Mapping[str, Level]
) -> Found | None:
    """A measure at the second levels less that at the first, tuned, on the seeds that have both;
    None without any.  Where levels of one field alone are named, it is a claim's contrast of them.
    """
    part = _of_measure(measure, {})
    cells = cells_of(records, part)
    if cells is None:
        return None
    effect = effect_between(cells, part, first, second)
    return _found(records, part, cells, effect) if len(effect.values) else None


def interval_note(records: Records, found: Sequence[Found]) -> str:
    """What the intervals of a figure or a table contain, in words."""
    sources = ["seeds"]
    if records.plan.spec.nuisance:
        sources.append("the choice of nuisance values")
    counts = sum(each.estimate.images is not None for each in found)
    if counts:
        sources.append("images" if counts == len(found) else "images (where known)")
    told = " and ".join([", ".join(sources[:-1]), sources[-1]] if len(sources) > 1 else sources)
    lacking = any(each.missing is not None for each in found)
    none = "; none where validation logits are missing" if lacking else ""
    return f"95 % interval from the noise of {told}{none}"


def _of_measure(measure: str, levels: Mapping[str, Level]) -> Part:
    return Part(measure, "higher", figure=0.0, at=levels)


def _found(records: Records, part: Part, cells: Cells, effect: Effect) -> Found:
    told, kind = seeds(len(effect.values)), _kind_of(part)
    try:
        noise = noise_of(records, part, cells, effect)
    except NoPredictionsError as error:
        told += f", no interval because {error}"
        return Found(effect, kind(effect.values, effect.widening, UNKNOWN), told, error)
    if noise is not None:
        told += f", {basis(part, noise, folds=records.plan.spec.folds)}"
    return Found(effect, kind(effect.values, effect.widening, noise), told)


def _kind_of(part: Part) -> type[Estimate]:
    """What a part's statistic is: a mean, a count, or the same for every seed."""
    measure = MEASURES[part.measure]
    if measure.needs == "network":
        return Constant
    return Counted if measure.unit is EPOCHS and "influence" not in part.claimed else Estimate
