"""Bring the stores into agreement with the ledger at every start; a repetition changes nothing."""

from collections import defaultdict
from collections.abc import Collection, Iterator

from filelock import Timeout

from fashion_hpo.running.mirror import Mirror
from fashion_hpo.stores.ledger import Entry, Result
from fashion_hpo.stores.predictions import HASHED_AS

DIED = Result("died", reason="its process ended before a result was committed")


def reconcile(mirror: Mirror, gone: Collection[str] = ()) -> Iterator[str]:
    """Close dead attempts, complete unfinished mirrors, enqueue points without outcome again.

    Yields a sentence for each change.  A running trial is dead if no process on this host holds its
    lock, if its lease from another host has expired, or if its uid is in `gone`: trials of a
    machine that is known to be lost.  If that machine lives after all, it cannot commit them.
    """
    mirror.away = ""
    with mirror.store.lock("claim"):
        entries = mirror.ledger.entries()
        left = mirror.store.trials_under_way()
        for entry in entries:
            if entry.state == "RUNNING" or entry.attempt.uid in left:
                yield from _close(mirror, entry, is_gone=entry.attempt.uid in gone)
                entries[entry.attempt.number] = mirror.ledger.entry(entry.attempt.number)
        for last in _without_outcome(entries):
            mirror.ledger.requeue(last.attempt)
            yield f"{last.attempt.point} waits for another attempt"
    if mirror.away:
        yield f"tracking is away ({mirror.away}); what it lacks is kept for the next start"


def _close(mirror: Mirror, entry: Entry, *, is_gone: bool) -> Iterator[str]:
    """Close and mirror an attempt whose process is gone."""
    attempt = entry.attempt
    if not is_gone and mirror.ledger.is_alive_elsewhere(entry):
        return
    lock = mirror.store.trial_lock(attempt.uid)
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        return  # alive, in another process
    with held:  # `with lock` would acquire it twice and release it once
        entry = mirror.ledger.entry(attempt.number)  # the trial may just have ended
        result = entry.result or DIED
        if HASHED_AS not in result.files:
            mirror.store.remove_logits(attempt.uid)
        if entry.state == "RUNNING":
            if entry.result is None:
                mirror.ledger.commit(attempt, result)
            mirror.ledger.tell(attempt, result)
        if not attempt.point:  # a proposal without a point has no run
            mirror.store.remove_trial_files(attempt.uid)
        elif not mirror.away:
            mirror.complete(attempt, result, bounded=False)
        yield f"trial {attempt.number} was left unfinished: {result.outcome}"


def _without_outcome(entries: list[Entry]) -> list[Entry]:
    """The last attempt at each point without an outcome and without a waiting or running trial.

    A promoted point counts apart: the outcome of its pruned trial does not end the promoted one.
    """
    by_goal = defaultdict(list)
    for entry in entries:
        if entry.attempt.point:
            by_goal[entry.attempt.goal].append(entry)
    return [
        tries[-1]
        for tries in by_goal.values()
        if all(e.state == "FAIL" and (e.result is None or not e.result.final) for e in tries)
    ]
