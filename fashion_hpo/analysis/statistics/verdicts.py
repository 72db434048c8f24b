"""A verdict for every claim: the interval of its statistic against its margin.

Each rests on a 95 % interval of its own.  Intervals are not widened for the number of claims: each
claim was declared before its study ran and is a question of its own.  All parts of a claim must
hold, which needs no correction either.
"""

from dataclasses import dataclass

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics.effects import Effect
from fashion_hpo.analysis.statistics.estimates import find
from fashion_hpo.analysis.statistics.intervals import Estimate, seeds_to_decide
from fashion_hpo.analysis.wording import Units, seeds, what_decides
from fashion_hpo.design.claim_kinds.kind import Part
from fashion_hpo.design.claims import Claim

REPRODUCED, REFUTED, UNDECIDED = "reproduced", "not reproduced", "undecided"
UNTESTABLE = "not testable here"
NO_VERDICT = "no verdict"  # evidence is missing that the study had
WEAKEST_FIRST = (REFUTED, NO_VERDICT, UNDECIDED, REPRODUCED)
QUICK = "the quick budget is no evidence"


@dataclass(frozen=True)
class Verdict:
    """A claim against the measurements.

    `word` is reproduced, not reproduced, undecided, not testable here, or no verdict, where
    evidence is missing; `ours` has for each part the means, the interval and the seeds.
    """

    claim_id: str
    text: str
    word: str
    sentence: str
    reported: str = ""
    ours: tuple[str, ...] = ()


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
    """Of several parts the weakest: one that is refuted refutes the claim, all must hold."""
    if claim.untestable:
        return untestable(claim)
    found = [_judge(records, part) for part in claim.all_parts]
    words = {part.word for part in found}
    word = next(word for word in WEAKEST_FIRST if word in words)
    sentence = found[0].sentence
    if len(found) > 1:
        sentence = " ".join(
            f"({number}) {part.word}: {part.sentence}" for number, part in enumerate(found, 1)
        )
    ours = tuple(part.ours for part in found if part.ours)
    return Verdict(claim.id, claim.text, word, sentence, claim.reported, ours)


def untestable(claim: Claim) -> Verdict:
    """The verdict that needs no results."""
    return Verdict(claim.id, claim.text, UNTESTABLE, f"{claim.untestable}.", claim.reported)


def decide(effect: Estimate, part: Part) -> tuple[str, str]:
    """A word, and for what is undecided what would decide it; the effect is a difference from 0."""
    if part.direction == "same":
        up = effect.mean >= 0  # its upper end is the farther from 0
        above, below = REFUTED, REPRODUCED
    else:
        up = part.direction == "higher"
        above, below = REPRODUCED, REFUTED
    size = effect if up else effect.negative()
    interval = size.interval()
    word = UNDECIDED
    if interval.low > part.margin:
        word = above
    elif interval.high < part.margin:
        word = below
    if word != UNDECIDED:
        return word, ""
    needed = seeds_to_decide(size, part.margin)
    return word, f"; {what_decides(needed, len(size.values))}"


def _judge(records: Records, part: Part) -> _Finding:
    found = find(records, part)
    if found is None:
        return _Finding(UNDECIDED, f"{part.name}: no trial has a value yet.")
    effect, units = found.effect, Units(part)
    count = len(effect.values)
    if count < 2:
        few = f"{effect.name}: {seeds(count)} with all that it compares; two are the least."
        return _Finding(UNDECIDED, few, _of_one(effect, units) if count else "")
    if found.missing is not None:
        why = f"{effect.name}: no verdict: {found.missing}; {found.missing.advice}."
        means = effect.means or units.number(found.estimate.mean)
        return _Finding(NO_VERDICT, why, f"{means}, {found.basis}")
    interval = found.estimate.interval()
    measured = f"{effect.name}: {units.interval(interval)}, {found.basis}"
    means = f"{effect.means}: " if effect.means else ""
    ours = f"{means}{units.brief(interval)}, {found.basis}"
    if records.plan.budget == "quick":
        return _Finding(UNDECIDED, f"{measured}; {QUICK}.", ours)
    figure = part.kind.figure(records.plan.base.epochs)
    word, rest = decide(found.estimate.minus(figure or 0.0), part)
    return _Finding(word, f"{measured}; {_claimed(part, units, figure)}{rest}.", ours)


def _of_one(effect: Effect, units: Units) -> str:
    """One seed's figures: its levels, or where the statistic is no difference, that itself."""
    return f"{effect.means or units.number(effect.values[0])}, {seeds(1)}"


def _claimed(part: Part, units: Units, figure: float | None) -> str:
    margin = units.number(part.margin)
    if part.direction == "same":
        than = "" if figure is None else f" as {units.number(figure)}"
        return f"claimed the same{than} within {margin}"
    than = "" if figure is None else f" than {units.number(figure)}"
    return f"claimed {part.direction}{than}" + (f" by more than {margin}" if part.margin else "")
