"""The answer of a study in two or three sentences."""

import math
from collections.abc import Mapping
from typing import Any

from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import budget_bootstrap
from fashion_hpo.analysis.statistics.cells import cells_of
from fashion_hpo.analysis.statistics.comparisons import compare, in_one_line, references_of
from fashion_hpo.analysis.statistics.estimates import MeasuredEffect, at_level
from fashion_hpo.analysis.statistics.pareto import answer_of_front
from fashion_hpo.analysis.statistics.selection import Finalist, audit, finalists, mean_bias, winner
from fashion_hpo.analysis.statistics.verdicts import (
    NO_VERDICT,
    REFUTED,
    REPRODUCED,
    Verdict,
    judge,
)
from fashion_hpo.analysis.wording import startup
from fashion_hpo.design.claim_kinds.kind import Level, Part
from fashion_hpo.design.constraints import in_words
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.plan import startup_trials
from fashion_hpo.design.sentences import study_command
from fashion_hpo.stores.ranking import nothing_comparable


def answer(records: Records) -> list[str]:
    """Sentences: the verdicts on the study's claims, and its best level or trial."""
    if records.complete.empty and records.not_comparable:
        return _nothing_comparable(records)
    if records.complete.empty:
        return _nothing_complete(records)
    if records.feasible.empty:
        return [_infeasible(records), "Raise the bounds, or search where they are kept."]
    if records.infeasible:
        return [*_answer(records), _infeasible(records)]
    return _answer(records)


def _nothing_complete(records: Records) -> list[str]:
    """What to type: the same command again while points are left, else a new revision."""
    plan = records.plan
    if records.remaining or records.trials.empty:
        command = study_command(plan.name, plan.budget)
        return ["No trial is complete yet.", f"Run {command} to get an answer."]
    counts = records.trials["outcome"].value_counts()
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    return [
        f"No trial is complete: {outcomes}.",
        "Mend the cause, then train all points again with "
        f"{study_command(plan.name, plan.budget, '--revise')}.",
    ]


def _answer(records: Records) -> list[str]:
    if len(records.plan.objectives) > 1:
        return answer_of_front(records)
    if records.plan.search is not None:
        return _answer_of_search(records)
    verdicts = judge(records)
    if not verdicts:
        return [_comparison(records), _best_level(records)]
    first = next((v for v in verdicts if v.word in (REPRODUCED, REFUTED)), verdicts[0])
    others = [verdict for verdict in verdicts if verdict is not first]
    sentences = [f"{_judged(first)}: {first.sentence}"]
    if others:
        sentences.append(", ".join(map(_judged, others)) + ".")
    if compared := compare(records):
        sentences.append(in_one_line(compared))
    return [*sentences, _best_level(records)]


def _judged(verdict: Verdict) -> str:
    verb = "has" if verdict.word == NO_VERDICT else "is"
    return f"{verdict.claim_id} {verb} {verdict.word}"


def _infeasible(records: Records) -> str:
    """The number of complete trials that violate the search's constraints."""
    count, total = records.infeasible, len(records.complete)
    bounds = in_words(records.plan.constraints)
    if count == total:
        return f"None of {total} complete trials is feasible ({bounds}), so there is no best one."
    verb = "is" if count == 1 else "are"
    return f"{count} of {total} complete trials {verb} infeasible ({bounds}) and left out of that."


def _nothing_comparable(records: Records) -> list[str]:
    """Why no trial is the best, and what to do, in the words of `register`."""
    reasons = records.trials["not_comparable"].dropna()
    reason = str(reasons[reasons != ""].iloc[0])
    lack, advice = nothing_comparable(records.not_comparable, reason, records.plan)
    return [f"There is {lack}.", f"{advice[0].upper()}{advice[1:]}."]


def _comparison(records: Records) -> str:
    """All levels against the level of the base config, or why they cannot be compared."""
    if comparisons := compare(records):
        return in_one_line(comparisons)
    name, levels = next(iter(records.plan.scientific.items()))
    complete = [level for level in levels if level in set(records.tuned[name])]
    if len(complete) == 1:
        return f"Only {name} {level_text(complete[0])} has complete trials yet: nothing to compare."
    if records.tuned["seed_index"].nunique() == 1:
        return f"One seed alone cannot tell the levels of {name} apart."
    reference = f"{name} {level_text(references_of(records.plan)[name])}"
    return f"No level shares two seeds with {reference} yet: nothing to compare."


def headline(records: Records) -> dict[str, float]:
    """The study's figures in MLflow's table of runs: complete trials, the best mean, its interval.

    Of a search, the mean is the winner's on fresh seeds; without one, and without a complete trial,
    the mean is left out.
    """
    values = {"complete_trials": float(len(records.complete))}
    if len(records.plan.objectives) > 1 or records.feasible.empty:
        return values
    if records.plan.search is None:
        interval = _best(records)[1].estimate.interval().within(MEASURES["value"].bounds)
    elif (best := winner(records)) is not None:
        interval = best.fresh
    else:
        return values
    values["best_mean"] = interval.mean
    if not math.isnan(interval.low):
        values |= {"best_low": interval.low, "best_high": interval.high}
    return values


def best_settings(records: Records) -> dict[str, Any]:
    """The varied fields' values at the best level, or of the search's best trial; empty before a
    trial is complete, and with several objectives."""
    if len(records.plan.objectives) > 1 or records.feasible.empty:
        return {}
    if records.plan.search is None:
        return dict(_best(records)[0])
    confirmed = winner(records)
    values = records.ranked.iloc[0] if confirmed is None else confirmed.values
    return {name: values[name] for name in records.varied}


def _best(records: Records) -> tuple[Mapping[str, Level], MeasuredEffect]:
    """The level or combination of levels with the highest mean validation accuracy."""
    cells = cells_of(records, Part("value", "higher", figure=0.0))
    assert cells is not None  # a complete trial has a value
    where = cells.ranked()[0]
    best = at_level(records, "value", where)
    assert best is not None
    return where, best


def _best_level(records: Records) -> str:
    where, best = _best(records)
    mean, low, high = best.estimate.interval().within(MEASURES["value"].bounds)
    spread = "" if math.isnan(low) else f" (95 % interval {low:.2%} to {high:.2%})"
    named = ", ".join(f"{name} {level_text(value)}" for name, value in where.items())
    what = "Best mean" if len(best.effect.values) > 1 else "Best single"
    return f"{what} validation accuracy: {mean:.2%}{spread} with {named}, {best.basis}."


def _answer_of_search(records: Records) -> list[str]:
    confirmed = winner(records)
    if confirmed is not None:
        return _confirmed(records, confirmed)
    best = records.ranked.iloc[0]
    values = _settings(records, best.to_dict())
    total = len(records.trials)
    pruned = int((records.trials["outcome"] == "pruned").sum())
    caution = "It is the luckiest of them: on fresh seeds expect less than the search's own figure"
    if len(records.ranked) == 1:
        caution = "No other trial can be compared with it, and its seed is one of many"
    return [
        f"Best of {_trials(total)} ({pruned} pruned): {best['value']:.2%} validation accuracy "
        f"with {values}.",
        f"{caution}{_progress(records)}.",
        *_startup(records),
    ]


def _trials(count: int) -> str:
    return "1 trial" if count == 1 else f"{count} trials"


def _settings(records: Records, values: Mapping[Any, Any]) -> str:
    """The trial's searched values; says so if all are those of the base config."""
    base = records.plan.base
    named = ", ".join(f"{name} {level_text(values[name])}" for name in records.varied)
    if all(values[name] == getattr(base, name) for name in records.varied):
        return f"the base config's own values ({named})"
    return named


def _startup(records: Records) -> list[str]:
    """A sentence on random start-up trials, if these are half of the trials or more."""
    count = len(records.trials)
    if 2 * startup_trials(records.plan, count) < count:
        return []
    random = startup(records.plan, count)
    return [f"{random[0].upper()}{random[1:]}."] if random else []


def _progress(records: Records) -> str:
    """The progress of an unfinished confirmation, as the end of a sentence."""
    confirming = records.confirmation
    if confirming is None or not confirming.remaining:
        return ""
    planned = confirming.plan.trials
    return f" ({planned - confirming.remaining} of {planned} trainings that tell are done)"


def _confirmed(records: Records, best: Finalist) -> list[str]:
    """The winner on fresh seeds, the search's selection bias, and the effect of fewer trials."""
    values = _settings(records, best.values)
    mean, low, high = best.fresh
    spread = "" if math.isnan(low) else f"95 % interval {low:.2%} to {high:.2%}, "
    ranked = finalists(records)
    sentences = [
        f"Winner: {values}: fresh-seed mean {mean:.2%} ({spread}{best.basis}), search score "
        f"{best.score:.2%}: selection bias {100 * best.bias:+.2f} points."
    ]
    if len(ranked) > 1:
        bias = 100 * mean_bias(ranked)
        sentences.append(
            f"It is trial {best.trial}, the best of {len(ranked)} finalists by that mean; on "
            f"average their scores lie {abs(bias):.2f} points {'below' if bias < 0 else 'above'} "
            "those means."
        )
    if (audited := audit(records)) is not None:
        sentences.append(
            f"Audit of the pruner: {audited.missed} of {audited.ended} pruned trials, drawn from "
            f"{audited.pruned} and trained to their end, would have been finalists."
        )
    if (enough := budget_bootstrap.sentence(records)) is not None:
        sentences.append(enough)
    return [*sentences, *_startup(records)]
