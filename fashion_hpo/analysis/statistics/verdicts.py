"""A verdict for every claim: what it compares, held against its margins.

A claim compares one or several things: its parts, and of each part one statistic or one for each
rival.  All must hold, each at its own level, for the claim to be reproduced: that needs no
correction, because one that is false is enough to stop it.  One that fails refutes the claim, and
the more there are, the sooner one fails by chance: failures are corrected by Holm's method over
everything that the claim compares.  Verdicts are not corrected for the number of claims: each was
declared before its study ran and is a question of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fashion_hpo.analysis.exact import Constant
from fashion_hpo.analysis.intervals import Estimate, holm
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.estimates import MeasuredEffect, find_all
from fashion_hpo.analysis.statistics.looking import Look, look_of
from fashion_hpo.analysis.statistics.regime import not_asked
from fashion_hpo.analysis.wording import Units, seeds, what_decides
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.claims import Claim
from fashion_hpo.design.looks import ERROR

REPRODUCED, REFUTED, UNDECIDED = "reproduced", "not reproduced", "undecided"
UNTESTABLE = "not testable here"
NOT_ASKED = "not asked at this budget"  # the results are outside the report's regime
NO_VERDICT = "no verdict"  # evidence is missing that the study had, or it is between two looks
WEAKEST_FIRST = (REFUTED, NO_VERDICT, UNDECIDED, REPRODUCED)
QUICK = "the quick budget is no evidence"


@dataclass(frozen=True)
class Verdict:
    """A claim against the measurements.

    `word` is reproduced, not reproduced, undecided, not testable here, not asked at this budget, or
    no verdict, where evidence is missing; `ours` has for each part the means, the interval and the
    seeds.
    """

    claim_id: str
    text: str
    word: str
    sentence: str
    reported: str = ""
    ours: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The verdict for JSON."""
        return {
            "claim": self.claim_id,
            "text": self.text,
            "verdict": self.word,
            "why": self.sentence,
            "reported": self.reported,
            "measured": list(self.ours),
        }


@dataclass(frozen=True)
class Asked:
    """One thing that a claim compares; the estimate is a difference from 0."""

    estimate: Estimate
    part: Part

    @property
    def p_values(self) -> tuple[float, float]:
        """Two one-sided p values: if the part is not true, and if it is true.

        NaN if nothing can be decided.
        """
        part, margin = self.part, self.part.margin
        if not self.estimate.has_width:
            return float("nan"), float("nan")
        above, below = self.estimate.p_above, self.estimate.p_below
        if part.direction == "same":
            return max(above(-margin), below(margin)), min(above(margin), below(-margin))
        if part.direction == "higher":
            return above(margin), below(margin)
        return below(-margin), above(-margin)

    @property
    def distance(self) -> float:
        """Between the estimate and the margin."""
        mean = self.estimate.mean
        size = abs(mean) if self.part.direction == "same" else mean
        return abs((-size if self.part.direction == "lower" else size) - self.part.margin)

    def seeds_to_decide(self, error: float) -> int | None:
        """How many seeds would decide."""
        size, margin = self.estimate, self.part.margin
        is_up = self.part.direction == "higher"
        if self.part.direction == "same":
            is_up = size.mean >= 0  # the end that is farther from 0
        return (size if is_up else size.negative()).seeds_to_decide(margin, 1 - error)


@dataclass(frozen=True)
class Measured:
    """One statistic of a part, in words; `asked` is None where seeds or evidence are missing."""

    statistic: MeasuredEffect
    asked: Asked | None


@dataclass(frozen=True)
class _Finding:
    """What one part came to."""

    word: str
    sentence: str
    ours: str = ""


def judge(records: Records) -> list[Verdict]:
    """A verdict for each claim of the study, in its order."""
    return [verdict_of(claim, records) for claim in records.plan.spec.claims]


def verdict_of(claim: Claim, records: Records) -> Verdict:
    """The word of all that a claim compares, at the study's last look."""
    if claim.untestable:
        return untestable(claim)
    why = not_asked(claim, records)
    if why:
        return Verdict(claim.id, claim.text, NOT_ASKED, why, claim.reported)
    look = look_of(records)
    measured = [measure(look.records, part) for part in claim.all_parts]
    asked = [each.asked for part in measured for each in part if each.asked is not None]
    compared = sum(map(len, measured))
    words = iter(decide(asked, look.error, compared))
    findings = [
        _finding(
            part,
            [(each, next(words) if each.asked else "") for each in statistics],
            look,
            small_scale=claim.small_scale,
        )
        for part, statistics in zip(claim.all_parts, measured, strict=True)
    ]
    sentence = findings[0].sentence
    if len(findings) > 1:
        sentence = " ".join(
            f"({number}) {part.word}: {part.sentence}" for number, part in enumerate(findings, 1)
        )
    ours = tuple(part.ours for part in findings if part.ours)
    return Verdict(claim.id, claim.text, weakest([part.word for part in findings]), sentence,
                   claim.reported, ours)  # fmt: skip


def weakest(words: Sequence[str]) -> str:
    """The word of a claim whose parts have these: one that is refuted refutes it, all must hold."""
    return next(word for word in WEAKEST_FIRST if word in words)


def untestable(claim: Claim) -> Verdict:
    """The verdict that needs no results."""
    return Verdict(claim.id, claim.text, UNTESTABLE, f"{claim.untestable}.", claim.reported)


def decide(asked: Sequence[Asked], error: float = ERROR, compared: int = 0) -> list[str]:
    """The word for each comparison of one claim; `error` is the two-sided error level.

    compared: how many comparisons the claim makes, if some of them have no estimate.
    """
    p_values = [each.p_values for each in asked]
    unknown = [float("nan")] * (compared - len(asked))
    failed = holm([*(against for _, against in p_values), *unknown])
    words = []
    for (p, _), corrected in zip(p_values, failed, strict=False):
        held = REPRODUCED if p <= error / 2 else UNDECIDED
        words.append(REFUTED if corrected <= error / 2 else held)
    return words


def measure(records: Records, part: Part) -> list[Measured]:
    """All that a part compares."""
    figure = part.kind.figure(records.plan.base.epochs) or 0.0
    measured = []
    for statistic in find_all(records, part):
        least = 1 if isinstance(statistic.estimate, Constant) else 2
        known = statistic.missing is None and len(statistic.effect.values) >= least
        asked = Asked(statistic.estimate.minus(figure), part) if known else None
        measured.append(Measured(statistic, asked))
    return measured


def _finding(
    part: Part, measured: Sequence[tuple[Measured, str]], look: Look, *, small_scale: bool
) -> _Finding:
    """A part's word and sentence, from its statistics and their words."""
    if not measured:
        return _Finding(
            NO_VERDICT if look.why else UNDECIDED, f"{part.name}: no trial has a value yet."
        )
    lacking = [each for each, _ in measured if each.asked is None]
    if lacking:
        return _lacking(lacking[0].statistic, Units(part))
    units = Units(part)
    nearest, _ = min(measured, key=lambda item: _lead(item[0]))
    statistic = nearest.statistic
    basis = statistic.basis + look.sentence
    confidence = 1 - look.error
    interval = statistic.estimate.interval(confidence)
    rivals = _rivals([word for _, word in measured])
    measured_here = f"{statistic.effect.name}: {units.interval(interval, confidence)}, {basis}"
    means = f"{statistic.effect.means}: " if statistic.effect.means else ""
    ours = f"{means}{units.brief(interval)}, {basis}"
    if look.records.plan.budget == "quick" and not small_scale:
        return _Finding(UNDECIDED, f"{measured_here}; {QUICK}.", ours)
    if look.why:
        return _Finding(NO_VERDICT, f"{measured_here}; {look.why}.", ours)
    word = weakest([word for _, word in measured])
    figure = part.kind.figure(look.records.plan.base.epochs)
    rest = _rest(nearest, look) if word == UNDECIDED else ""
    claimed = _claimed(part, units, figure)
    return _Finding(word, f"{measured_here}; {claimed}{rivals}{rest}.", ours)


def _lacking(statistic: MeasuredEffect, units: Units) -> _Finding:
    """A statistic without enough seeds, or without evidence that it had."""
    effect, count = statistic.effect, len(statistic.effect.values)
    if count < 2:
        few = f"{effect.name}: {seeds(count)} with all that it compares; two are the least."
        return _Finding(UNDECIDED, few, _of_one(statistic, units) if count else "")
    assert statistic.missing is not None
    why = f"{effect.name}: no verdict: {statistic.missing}; {statistic.missing.advice}."
    means = effect.means or units.number(statistic.estimate.mean)
    return _Finding(NO_VERDICT, why, f"{means}, {statistic.basis}")


def _lead(measured: Measured) -> float:
    """By how much a statistic lies on the claimed side."""
    assert measured.asked is not None
    mean = measured.asked.estimate.mean
    return mean if measured.asked.part.direction == "higher" else -mean


def _rivals(words: Sequence[str]) -> str:
    """Against how many of several rivals a part holds."""
    if len(words) == 1:
        return ""
    counts = [
        f"{verb} {words.count(word)}"
        for word, verb in (
            (REPRODUCED, "beats"),
            (REFUTED, "loses to"),
            (UNDECIDED, "undecided against"),
        )
        if word in words
    ]
    return f"; of {len(words)} rivals it {', '.join(counts)}"


def _rest(measured: Measured, look: Look) -> str:
    """What would decide."""
    assert measured.asked is not None
    needed = measured.asked.seeds_to_decide(look.error)
    have = len(measured.asked.estimate.values)
    return f"; {what_decides(needed, have, look.records.plan.looks[-1])}"


def _of_one(statistic: MeasuredEffect, units: Units) -> str:
    """One seed's figures: its levels, or where the statistic is no difference, that itself."""
    return f"{statistic.effect.means or units.number(statistic.effect.values[0])}, {seeds(1)}"


def _claimed(part: Part, units: Units, figure: float | None) -> str:
    margin = units.number(part.margin)
    if part.direction == "same":
        than = "" if figure is None else f" as {units.number(figure)}"
        return f"claimed the same{than} within {margin}"
    than = "" if figure is None else f" than {units.number(figure)}"
    return f"claimed {part.direction}{than}" + (f" by more than {margin}" if part.margin else "")
