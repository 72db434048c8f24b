"""A verdict for every claim: the interval of its statistic over seeds against its margin.

Each rests on a 95 % interval of its own.  Intervals are not widened for the number of claims: each
claim was declared before its study ran and is a question of its own.  All parts of a claim must
hold, which needs no correction either.
"""

from dataclasses import dataclass

import numpy as np

from fashion_hpo.analysis.cells import cells_of
from fashion_hpo.analysis.effects import effect_of
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import seeds_to_decide, t_interval
from fashion_hpo.analysis.wording import Units, seeds
from fashion_hpo.design.claims import Claim, Part

REPRODUCED, REFUTED, UNDECIDED = "reproduced", "not reproduced", "undecided"
UNTESTABLE = "not testable here"
QUICK = "the quick budget is no evidence"


@dataclass(frozen=True)
class Verdict:
    """A claim against the measurements.

    `word` is reproduced, not reproduced, undecided or not testable here; `ours` has for each part
    the means, the interval and the seeds.
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
    word = REFUTED if REFUTED in words else UNDECIDED if UNDECIDED in words else REPRODUCED
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


def decide(effects: np.ndarray, part: Part) -> tuple[str, str]:
    """A word, and for what is undecided what would decide it; effects are differences from 0."""
    if part.direction == "same":
        size = effects if effects.mean() >= 0 else -effects  # its upper end is the farther from 0
        above, below = REFUTED, REPRODUCED
    else:
        size = effects if part.direction == "higher" else -effects
        above, below = REPRODUCED, REFUTED
    interval = t_interval(size.tolist())
    word = UNDECIDED
    if interval.low > part.margin:
        word = above
    elif interval.high < part.margin:
        word = below
    if word != UNDECIDED:
        return word, ""
    needed = seeds_to_decide(size, part.margin)
    if needed is None:
        return word, "; more than a thousand seeds would be needed"
    return word, f"; about {seeds(needed - len(size), 'more ')} would decide"


def _judge(records: Records, part: Part) -> _Finding:
    cells = cells_of(records, part)
    if cells is None:
        where = "" if part.epoch is None else f" at epoch {part.epoch}"
        return _Finding(UNDECIDED, f"no trial has {part.measure}{where} yet.")
    effect, units = effect_of(cells, part), Units(part)
    count = len(effect.values)
    if count < 2:
        few = f"{effect.name}: {seeds(count)} with all that it compares; two are the least."
        return _Finding(UNDECIDED, few, f"{effect.means}, {seeds(count)}" if count else "")
    interval = t_interval(effect.values.tolist())
    measured = f"{effect.name}: {units.interval(interval)}, {seeds(count)}"
    means = f"{effect.means}: " if effect.means else ""
    ours = f"{means}{units.brief(interval)}, {seeds(count)}"
    if records.plan.budget == "quick":
        return _Finding(UNDECIDED, f"{measured}; {QUICK}.", ours)
    figure = part.figure if part.figure != "epochs" else records.plan.base.epochs
    word, rest = decide(effect.values - (figure or 0.0), part)
    return _Finding(word, f"{measured}; {_claimed(part, units, figure)}{rest}.", ours)


def _claimed(part: Part, units: Units, figure: float | None) -> str:
    margin = units.number(part.margin)
    if part.direction == "same":
        than = "" if figure is None else f" as {units.number(figure)}"
        return f"claimed the same{than} within {margin}"
    than = "" if figure is None else f" than {units.number(figure)}"
    return f"claimed {part.direction}{than}" + (f" by more than {margin}" if part.margin else "")
