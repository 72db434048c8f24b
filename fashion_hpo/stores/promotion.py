"""Choose the best pruned points, which a search trains to completion after its other trials.

A promoted point has two trials with an outcome: the pruned trial and the promoted trial, which
resumes from the point's checkpoint and is never pruned.  The choice follows from the ledger alone,
so that neither a kill nor a second process changes it.
"""

from collections.abc import Sequence

from fashion_hpo.stores.attempts import Entry


def chosen(entries: Sequence[Entry], count: int) -> list[Entry]:
    """The best pruned trials by the last value they reported, each point once, best first.

    Of equals the point with the earliest trial leads, whether or not that trial died: a kill must
    not change the choice.  Points that were promoted already are included.
    """
    first: dict[str, int] = {}
    for entry in entries:
        first.setdefault(entry.attempt.point, entry.attempt.number)
    searched = [entry for entry in entries if _is_final(entry) and not entry.attempt.promoted]
    ended = {entry.attempt.point for entry in searched if not _is_pruned(entry)}
    pruned = [e for e in searched if _is_pruned(e) and e.attempt.point not in ended]
    ranked = sorted(pruned, key=lambda entry: (-_last_value(entry), first[entry.attempt.point]))
    by_point: dict[str, Entry] = {}
    for entry in ranked:
        by_point.setdefault(entry.attempt.point, entry)
    return list(by_point.values())[:count]


def outstanding(entries: Sequence[Entry], count: int) -> list[Entry]:
    """The chosen trials whose points were not yet trained to completion."""
    done = _promoted(entries)
    return [entry for entry in chosen(entries, count) if entry.attempt.point not in done]


def superseded(entries: Sequence[Entry]) -> set[int]:
    """The numbers of pruned trials whose points a promoted trial trained to completion."""
    done = _promoted(entries)
    return {
        entry.attempt.number
        for entry in entries
        if entry.attempt.point in done and _is_pruned(entry) and not entry.attempt.promoted
    }


def _promoted(entries: Sequence[Entry]) -> set[str]:
    return {e.attempt.point for e in entries if e.attempt.promoted and _is_final(e)}


def _is_final(entry: Entry) -> bool:
    return entry.result is not None and entry.result.final


def _is_pruned(entry: Entry) -> bool:
    return entry.result is not None and entry.result.outcome == "pruned"


def _last_value(entry: Entry) -> float:
    assert entry.result is not None
    if entry.result.history:
        return float(entry.result.history[-1]["val_accuracy"])
    return entry.result.value or 0.0
