"""Every level against its field's reference, in words.

The reference is the level that the base config has, or the field's first.  Fields that are not
compared are averaged over.  A level is better or worse if the difference is not 0, and "no
difference" if it is shown to be less than δ either way (two one-sided tests, Schuirmann 1987); p
values of either kind are corrected for the number of comparisons by Holm's method, so that at most
one study in twenty says something false of any of its levels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fashion_hpo.analysis.intervals import Estimate, Interval, holm, wilson
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.estimates import MeasuredEffect, find
from fashion_hpo.analysis.statistics.verdicts import NO_VERDICT, QUICK
from fashion_hpo.analysis.wording import Units, what_decides
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.plan import Plan
from fashion_hpo.design.spec import Level

BETTER, WORSE, SAME, UNDECIDED = "better", "worse", "no difference", "undecided"
DELTA = 0.005  # half a point of accuracy: too small a difference to choose by
ALPHA = 0.05
MOST_NAMED = 5  # levels in one line


@dataclass(frozen=True)
class Comparison:
    """One level against the reference.

    `word` is better, worse, no difference (larger than `delta`) or undecided, or no verdict, for
    `missing` evidence.  `interval` is of the
    difference, level less reference, in the measure's own unit, and not corrected; `p` is two-sided
    and `corrected` by Holm.  So many `more_seeds` would decide; None where the level is decided,
    under the quick budget, and where a thousand seeds would not do.
    """

    field: str
    level: Level
    reference: Level
    measure: str
    delta: float
    word: str
    interval: Interval
    differences: tuple[float, ...]  # of each shared seed
    p: float
    corrected: float
    more_seeds: int | None
    why: str  # why it is undecided; "" where it is decided
    sentence: str
    missing: str = ""

    @property
    def seeds(self) -> int:
        """The number of seeds with which both levels were trained."""
        return len(self.differences)

    @property
    def chance_above(self) -> Interval:
        """P(A > B): the share of seeds whose level is above the reference; a tie counts as half.

        After Bouthillier et al., "Accounting for Variance in Machine Learning Benchmarks" (2021);
        the interval is Wilson's (1927).
        """
        differences = np.array(self.differences)
        share = float(np.mean((differences > 0) + 0.5 * (differences == 0)))
        return Interval(share, *wilson(share, self.seeds))


@dataclass(frozen=True)
class Judged:
    """What the corrected tests say of one difference, `higher` being better."""

    word: str
    p: float
    corrected: float
    more_seeds: int | None
    why: str = ""  # why it is undecided


def compare(records: Records, measure: str = "value", *, delta: float = DELTA) -> list[Comparison]:
    """Each level of each scientific field against the reference, in the design's order.

    Levels that share fewer than two seeds with the reference are left out; a search has none.
    """
    compared, higher = [], MEASURES[measure].better == "higher"
    for part in _parts(records, measure, higher):
        statistic = find(records, part)
        if statistic is not None and len(statistic.effect.values) > 1:
            compared.append((part, statistic))
    judged = judge_all([each.estimate for _, each in compared], higher=higher, delta=delta)
    if records.plan.budget == "quick":
        judged = [replace(each, word=UNDECIDED, more_seeds=None, why=QUICK) for each in judged]
    return [
        _comparison(part, each, judgement, delta)
        for (part, each), judgement in zip(compared, judged, strict=True)
    ]


def references_of(plan: Plan) -> dict[str, Level]:
    """What levels are compared with: the base config's own, or where it is no level the first."""
    base_levels = {name: getattr(plan.base, name) for name in plan.scientific}
    return {
        name: base_levels[name] if base_levels[name] in levels else levels[0]
        for name, levels in plan.scientific.items()
    }


def judge_all(
    estimates: Sequence[Estimate], *, higher: bool = True, delta: float = DELTA
) -> list[Judged]:
    """A word for each difference of one study; each rests on two seeds or more."""
    different = [2 * min(estimate.p_above(0.0), estimate.p_below(0.0)) for estimate in estimates]
    alike = [2 * max(estimate.p_below(delta), estimate.p_above(-delta)) for estimate in estimates]
    corrected, corrected_alike = holm(different), holm(alike)
    open_ones = sum(not min(pair) <= ALPHA for pair in zip(corrected, corrected_alike, strict=True))
    judged = []
    for estimate, p, first, second in zip(
        estimates, different, corrected, corrected_alike, strict=True
    ):
        word, more, why = UNDECIDED, None, ""
        if first <= ALPHA:
            word = BETTER if (estimate.mean > 0) == higher else WORSE
        elif second <= ALPHA:
            word = SAME
        else:
            count = len(estimate.values)
            needed = _seeds_needed(estimate, delta, 1 - ALPHA / open_ones)
            more = None if needed is None else needed - count
            why = what_decides(needed, count)
        judged.append(Judged(word, min(1.0, p), float(first), more, why))
    return judged


def in_one_line(comparisons: Sequence[Comparison]) -> str:
    """Which levels are better, worse, no different or undecided; one comparison in full."""
    if len(comparisons) == 1:
        return comparisons[0].sentence
    parts = []
    for word in (BETTER, WORSE, SAME, UNDECIDED, NO_VERDICT):
        levels = [each for each in comparisons if each.word == word]
        if levels:
            named = _listed([f"{each.field} {level_text(each.level)}" for each in levels])
            parts.append(f"{word}: {named}" + f" {levels[0].missing}".rstrip())
    references = dict.fromkeys(f"{each.field} {level_text(each.reference)}" for each in comparisons)
    against = _listed(list(references))
    if QUICK in {each.why for each in comparisons}:
        parts.append(QUICK)
    return f"By {MEASURES[comparisons[0].measure].at(None)} against {against}, {'; '.join(parts)}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _parts(records: Records, measure: str, higher: bool) -> list[Part]:
    references = references_of(records.plan)
    return [
        Part(measure, "higher" if higher else "lower", contrast=(name, references[name], level))
        for name, levels in records.plan.scientific.items()
        for level in levels
        if level != references[name]
    ]


def _seeds_needed(estimate: Estimate, delta: float, confidence: float) -> int | None:
    """How many seeds it takes until the interval excludes 0, or lies within ±δ."""
    size = estimate if estimate.mean >= 0 else estimate.negative()
    apart = size.seeds_to_decide(0.0, confidence)
    alike = size.seeds_to_decide(delta, confidence) if size.mean < delta else None
    needed = [count for count in (apart, alike) if count is not None]
    return min(needed, default=None)


def _comparison(part: Part, statistic: MeasuredEffect, judged: Judged, delta: float) -> Comparison:
    name, reference, level = part.claimed["contrast"]
    interval, units, missing = statistic.estimate.interval(), Units(part), ""
    if statistic.missing is not None:
        judged = replace(judged, word=NO_VERDICT, more_seeds=None, why="")
        missing = f"because {statistic.missing}; {statistic.missing.advice}"
        said = f"{NO_VERDICT}, {missing}"
    else:
        said = f"{_in_words(judged, units, delta)}; {units.brief(interval)}, {statistic.basis}"
    by = MEASURES[part.measure].at(None)
    of = f"{name} {level_text(level)} against {level_text(reference)} by {by}"
    return Comparison(
        field=name,
        level=level,
        reference=reference,
        measure=part.measure,
        delta=delta,
        word=judged.word,
        interval=interval,
        differences=tuple(statistic.effect.values.tolist()),
        p=judged.p,
        corrected=judged.corrected,
        more_seeds=judged.more_seeds,
        why=judged.why,
        sentence=f"{of}: {said}.",
        missing=missing,
    )


def _in_words(judged: Judged, units: Units, delta: float) -> str:
    if judged.word == SAME:
        return f"no difference larger than {units.number(delta)}"
    return f"{judged.word}, {judged.why}" if judged.why else judged.word
