"""A statistic as an estimate: seeds, tuning and images, all that it may be off by.

Verdicts, comparisons, checks, tables and figures of a design take their intervals from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fashion_hpo.analysis.exact import Constant, Counted
from fashion_hpo.analysis.intervals import UNKNOWN, Estimate
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.cells import Cells, cells_of
from fashion_hpo.analysis.statistics.effects import Effect, effect_between, effects_of
from fashion_hpo.analysis.statistics.image_noise import basis, noise_of
from fashion_hpo.analysis.wording import seeds
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.measures import EPOCHS, MEASURES
from fashion_hpo.design.spec import Level
from fashion_hpo.stores.predictions import NoPredictionsError


@dataclass(frozen=True)
class MeasuredEffect:
    """A statistic, in words and as an estimate.

    Where evidence is `missing` that the interval needs, there is no interval: one without it would
    be too narrow.
    """

    effect: Effect
    estimate: Estimate
    basis: str  # `3 seeds, 5,000 images`, or why there is no interval
    missing: NoPredictionsError | None = None


def find(records: Records, part: Part) -> MeasuredEffect | None:
    """The statistic of a part that has one; None if no trial has its measure."""
    statistics = find_all(records, part)
    return statistics[0] if statistics else None


def find_all(records: Records, part: Part) -> list[MeasuredEffect]:
    """A part's statistics, all of which its claim is about; none if no trial has its measure."""
    cells = cells_of(records, part)
    if cells is None:
        return []
    return [_measured(records, part, cells, effect) for effect in effects_of(cells, part)]


def at_level(records: Records, measure: str, levels: Mapping[str, Level]) -> MeasuredEffect | None:
    """A measure at these levels, tuned; None if no trial there has it."""
    statistic = find(records, _of_measure(measure, levels))
    return statistic if statistic is not None and len(statistic.effect.values) else None


def between(
    records: Records, measure: str, first: Mapping[str, Level], second: Mapping[str, Level]
) -> MeasuredEffect | None:
    """The difference of a tuned measure: at the second levels minus at the first levels.

    Only seeds with both count; None if no seed has both.  If the levels name one field, this is
    the contrast that a claim makes of them.
    """
    part = _of_measure(measure, {})
    cells = cells_of(records, part)
    if cells is None:
        return None
    effect = effect_between(cells, part, first, second)
    return _measured(records, part, cells, effect) if len(effect.values) else None


def interval_note(records: Records, statistics: Sequence[MeasuredEffect]) -> str:
    """What the intervals of a figure or a table contain, in words."""
    sources = ["seeds"]
    if records.plan.spec.nuisance:
        sources.append("the choice of nuisance values")
    counts = sum(statistic.estimate.images is not None for statistic in statistics)
    if counts:
        sources.append("images" if counts == len(statistics) else "images (where known)")
    named = " and ".join([", ".join(sources[:-1]), sources[-1]] if len(sources) > 1 else sources)
    lacking = any(statistic.missing is not None for statistic in statistics)
    none = "; none where validation logits are missing" if lacking else ""
    return f"95 % interval from the noise of {named}{none}"


def _of_measure(measure: str, levels: Mapping[str, Level]) -> Part:
    return Part(measure, "higher", figure=0.0, at=levels)


def _measured(records: Records, part: Part, cells: Cells, effect: Effect) -> MeasuredEffect:
    sample, kind = seeds(len(effect.values)), _kind_of(part)
    try:
        noise = noise_of(records, part, cells, effect)
    except NoPredictionsError as error:
        sample += f", no interval because {error}"
        return MeasuredEffect(effect, kind(effect.values, effect.widening, UNKNOWN), sample, error)
    if noise is not None:
        sample += f", {basis(part, noise, folds=records.plan.spec.folds)}"
    return MeasuredEffect(effect, kind(effect.values, effect.widening, noise), sample)


def _kind_of(part: Part) -> type[Estimate]:
    """What a part's statistic is: a mean, a count, or the same for every seed."""
    measure = MEASURES[part.measure]
    if measure.needs == "network":
        return Constant
    return Counted if measure.unit is EPOCHS and "influence" not in part.claimed else Estimate
