"""Which trials are compared, and in which order: one rule for every reader of a ledger."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fashion_hpo.design.constraints import in_words, is_feasible
from fashion_hpo.design.plan import Plan
from fashion_hpo.design.sentences import study_command
from fashion_hpo.stores.attempts import Entry


class Standing(NamedTuple):
    """The facts that decide a trial's rank."""

    complete: bool
    comparable: bool  # trained as its config says, not changed because memory was short
    feasible: bool  # satisfies the search's constraints
    value: float | None


def best_first(standings: Sequence[Standing]) -> list[int]:
    """The indices of the compared trials, the highest value first; of equals the first trial."""
    values = {
        index: standing.value
        for index, standing in enumerate(standings)
        if standing.complete and standing.comparable and standing.feasible
        if standing.value is not None and not math.isnan(standing.value)
    }
    return sorted(values, key=lambda index: -values[index])


def ranked(entries: Iterable[Entry], constraints: Mapping[str, float]) -> list[Entry]:
    """The complete, comparable and feasible trials, best first; of equals the first trial.

    A result counts once it is committed, even if the trial is not closed yet.
    """
    trials = sorted(entries, key=lambda entry: entry.attempt.number)
    standings = [_standing(entry, constraints) for entry in trials]
    return [trials[index] for index in best_first(standings)]


def nothing_ranked(entries: Iterable[Entry], plan: Plan, remaining: int) -> tuple[str, str]:
    """Why `ranked` is empty, as a noun phrase, and what to do.

    remaining: the number of the ledger's points without an outcome.
    """
    constraints = plan.constraints
    trials = list(entries)
    standings = [_standing(entry, constraints) for entry in trials]
    reasons = [
        _not_comparable(entry)
        for entry, standing in zip(trials, standings, strict=True)
        if standing.complete and not standing.comparable
    ]
    complete = sum(standing.complete for standing in standings)
    if not complete:
        return _nothing_complete(trials, plan, remaining)
    if len(reasons) == complete:
        return nothing_comparable(complete, reasons[0], plan)
    return (
        f"no feasible trial ({in_words(constraints)})",
        "raise the bounds, or search where they are kept",
    )


def _nothing_complete(trials: Iterable[Entry], plan: Plan, remaining: int) -> tuple[str, str]:
    """With an outcome for every point, the same command would train nothing more."""
    if remaining:
        return "no complete trial", f"run {study_command(plan.name, plan.budget)} first"
    counts = Counter(t.result.outcome for t in trials if t.result and t.result.final)
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    again = study_command(plan.name, plan.budget, "--revise")
    return (
        f"no complete trial ({outcomes})",
        f"mend the cause, then train all points again with {again}",
    )


def nothing_comparable(complete: int, reason: str, plan: Plan) -> tuple[str, str]:
    """What the ledger lacks and what to do if memory was short in every complete trial."""
    what = (
        f"no comparable trial: for want of memory all {complete} complete ones were trained "
        f"otherwise than their configs say ({reason})"
    )
    again = study_command(plan.name, plan.budget, "--revise")
    return what, f"train all points again with more memory or smaller batches by {again}"


def _standing(entry: Entry, constraints: Mapping[str, float]) -> Standing:
    result = entry.result
    if result is None or result.outcome != "complete":
        return Standing(complete=False, comparable=True, feasible=True, value=None)
    return Standing(
        complete=True,
        comparable=not _not_comparable(entry),
        feasible=is_feasible(constraints, result.summaries),
        value=result.value,
    )


def _not_comparable(entry: Entry) -> str:
    """How short memory changed the trial; empty if it did not."""
    return "" if entry.result is None else entry.result.hardware.get("not_comparable", "")
