"""Which trials are compared, and in which order: one rule for every reader of a ledger."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fashion_hpo.design.constraints import in_words, is_feasible
from fashion_hpo.stores.attempts import Entry

MORE_MEMORY = (
    "train all points again with more memory or smaller batches by `python -m fashion_hpo.study "
    "NAME --revise`"
)


class Standing(NamedTuple):
    """What a trial's place among the others depends on."""

    complete: bool
    comparable: bool  # trained as its config says, not in smaller pieces for want of memory
    feasible: bool  # keeps the search's constraints
    value: float | None


def best_first(standings: Sequence[Standing]) -> list[int]:
    """The places of the trials that are compared, the highest value first, of equals the first."""
    values = {
        place: each.value
        for place, each in enumerate(standings)
        if each.complete and each.comparable and each.feasible
        if each.value is not None and not math.isnan(each.value)
    }
    return sorted(values, key=lambda place: -values[place])


def ranked(entries: Iterable[Entry], constraints: Mapping[str, float]) -> list[Entry]:
    """The complete, comparable and feasible trials, best first, of equals the first trial.

    A result counts from its commit on, whether or not the trial is closed yet.
    """
    trials = sorted(entries, key=lambda entry: entry.attempt.number)
    standings = [_standing(entry, constraints) for entry in trials]
    return [trials[place] for place in best_first(standings)]


def nothing_ranked(
    entries: Iterable[Entry], constraints: Mapping[str, float], study: str
) -> tuple[str, str]:
    """Of entries that `ranked` leaves out: what a ledger lacks, as a noun, and what to do."""
    trials = list(entries)
    standings = [_standing(entry, constraints) for entry in trials]
    reasons = [
        _not_comparable(entry)
        for entry, standing in zip(trials, standings, strict=True)
        if standing.complete and not standing.comparable
    ]
    complete = sum(standing.complete for standing in standings)
    if not complete:
        return "no complete trial", "run the study first"
    if len(reasons) == complete:
        return nothing_comparable(complete, reasons[0], study)
    return (
        f"no feasible trial ({in_words(constraints)})",
        "raise the bounds, or search where they are kept",
    )


def nothing_comparable(complete: int, reason: str, study: str) -> tuple[str, str]:
    """The same where memory ran out in every complete trial."""
    what = (
        f"no comparable trial: for want of memory all {complete} complete ones were trained "
        f"otherwise than their configs say ({reason})"
    )
    return what, MORE_MEMORY.replace("NAME", study)


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
    """Why memory made another experiment of a trial; empty if it did not."""
    return "" if entry.result is None else entry.result.hardware.get("not_comparable", "")
