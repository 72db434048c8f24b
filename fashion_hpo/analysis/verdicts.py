"""What a study found, in words: a verdict for every claim, and the answer in two sentences."""

import math
from dataclasses import dataclass

import numpy as np

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import (
    Interval,
    paired_differences,
    seeds_to_decide,
    t_interval,
)
from fashion_hpo.design.spec import Claim

CURVES = ("train_loss", "train_eval_loss", "train_eval_accuracy", "val_loss", "val_accuracy")
SHARES = (
    "value",
    "val_accuracy",
    "train_eval_accuracy",
    "best_val_accuracy",
    "model_val_accuracy",
    "last_val_accuracy",
)


@dataclass(frozen=True)
class Verdict:
    """A claim against the measurements; `word` is reproduced, not reproduced or undecided."""

    claim_id: str
    text: str
    word: str
    sentence: str


def judge(records: Records) -> list[Verdict]:
    """A verdict for each claim of the study, in its order."""
    return [_judge(records, claim) for claim in records.plan.spec.claims]


def answer(records: Records) -> list[str]:
    """The study's answer: what it found, and the best it has."""
    if records.complete.empty:
        return ["No trial is complete yet.", "Run the study to get an answer."]
    if records.plan.search is not None:
        return _answer_of_search(records)
    verdicts = judge(records)
    if not verdicts:
        return [_comparison(records), _best_level(records)]
    first = verdicts[0]
    return [f"{first.claim_id} is {first.word}: {first.sentence}", _best_level(records)]


def level_column(measure: str) -> str:
    """The trials' column that holds a measure; a curve is taken at its last epoch."""
    return f"last_{measure}" if measure in CURVES else measure


def _judge(records: Records, claim: Claim) -> Verdict:
    field, first, second = claim.contrast
    trials = records.complete
    column = level_column(claim.measure)
    if column not in trials or field not in trials:
        return Verdict(claim.id, claim.text, "undecided", "no trial has this measure yet.")
    found = paired_differences(trials, column, field, first, second)
    effects = -found if claim.direction == "lower" else found
    contrast = f"{claim.measure} with {field} {_shown(second)} against {_shown(first)}"
    if len(effects) < 2:
        sentence = f"{contrast}: {_seeds(len(effects))} with both levels; two are the least."
        return Verdict(claim.id, claim.text, "undecided", sentence)
    measured = (
        f"{contrast}: {_interval(t_interval(found.tolist()), claim.measure)}, {len(found)} seeds"
    )
    if _evidence(records):
        sentence = f"{measured}{_evidence(records)}."
        return Verdict(claim.id, claim.text, "undecided", sentence)
    word, rest = _decide(effects, claim.margin)
    margin = _number(claim.margin, claim.measure)
    return Verdict(
        claim.id, claim.text, word, f"{measured}; claimed {claim.direction} by {margin}{rest}."
    )


def _decide(effects: np.ndarray, margin: float) -> tuple[str, str]:
    interval = t_interval(effects.tolist())
    if interval.low > margin:
        return "reproduced", ""
    if interval.high < margin:
        return "not reproduced", ""
    needed = seeds_to_decide(effects, margin)
    if needed is None:
        return "undecided", "; more than a thousand seeds would be needed"
    return "undecided", f"; about {_seeds(needed - len(effects), 'more ')} would decide"


def _comparison(records: Records) -> str:
    """Best against worst level of the first scientific field, paired by seed."""
    field = next(iter(records.plan.scientific))
    means = records.complete.groupby(field)["value"].mean().sort_values()
    worst, best = means.index[0], means.index[-1]
    if len(means) < 2:
        return f"Only {field} {_shown(best)} has complete trials yet: nothing to compare."
    found = paired_differences(records.complete, "value", field, worst, best)
    if len(found) < 2:
        return f"One seed alone cannot tell the levels of {field} apart."
    interval = t_interval(found.tolist())
    verb = "is better than" if interval.low > 0 else "cannot be told from"
    return (
        f"{field} {_shown(best)} {verb} {_shown(worst)} by validation accuracy: "
        f"{_interval(interval, 'value')}, {len(found)} seeds{_evidence(records)}."
    )


def _best_level(records: Records) -> str:
    names = list(records.plan.scientific)
    groups = {
        level: part.groupby("seed_index")["value"].mean().tolist()
        for level, part in records.complete.groupby(names)
    }
    level, values = max(groups.items(), key=lambda item: float(np.mean(item[1])))
    assert isinstance(level, tuple)  # what grouping by a list gives
    where = ", ".join(f"{name} {_shown(value)}" for name, value in zip(names, level, strict=True))
    mean, low, high = t_interval(values)
    spread = "" if math.isnan(low) else f" (95 % interval {low:.2%} to {high:.2%})"
    return f"Best mean validation accuracy: {mean:.2%}{spread} with {where}, {_seeds(len(values))}."


def _answer_of_search(records: Records) -> list[str]:
    trials = records.complete
    best = trials.iloc[int(trials["value"].to_numpy().argmax())]
    values = ", ".join(f"{name} {_shown(best[name])}" for name in records.varied)
    total = len(records.trials)
    pruned = int((records.trials["outcome"] == "pruned").sum())
    return [
        f"Best of {total} trials ({pruned} pruned): {best['value']:.2%} validation accuracy "
        f"with {values}.",
        "It is the luckiest of them: on fresh seeds expect less than the search's own figure.",
    ]


def _evidence(records: Records) -> str:
    return "; the quick budget is no evidence" if records.plan.budget == "quick" else ""


def _seeds(count: int, which: str = "") -> str:
    return f"{count} {which}seed" if count == 1 else f"{count} {which}seeds"


def _interval(interval: Interval, measure: str) -> str:
    low, high = _number(interval.low, measure), _number(interval.high, measure)
    return f"{_number(interval.mean, measure, signed=True)} (95 % interval {low} to {high})"


def _number(value: float, measure: str, signed: bool = False) -> str:
    sign = "+" if signed else ""
    if measure in SHARES:
        return f"{100 * value:{sign}.2f} points"
    return f"{value:{sign}.3g}" if abs(value) >= 1e-3 or value == 0 else f"{value:{sign}.1e}"


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
