"""Bring the stores to what the ledger says, at every start; doing it again changes nothing."""

from collections import defaultdict
from collections.abc import Iterator

from filelock import Timeout

from fashion_hpo.running.session import Session
from fashion_hpo.running.trial import mirror
from fashion_hpo.stores.ledger import Entry, Result

DIED = Result("died", reason="its process ended before a result was committed")


def reconcile(session: Session) -> Iterator[str]:
    """Close dead attempts, complete unfinished mirrors, let points without outcome wait again.

    Yields a sentence for each thing mended.  A running trial is dead if nobody holds its lock.
    """
    with session.store.lock("claim"):
        for entry in session.ledger.entries():
            leftover = session.store.trial_folder(entry.attempt.uid).exists()
            if entry.state == "RUNNING" or leftover:
                yield from _close(session, entry)
        for last in _without_outcome(session):
            session.ledger.requeue(last.attempt)
            yield f"{last.attempt.point} waits for another attempt"


def _close(session: Session, entry: Entry) -> Iterator[str]:
    """Tell and mirror what the ledger has of an attempt whose process is gone."""
    attempt = entry.attempt
    lock = session.store.trial_lock(attempt.uid)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return  # alive, in another process
    with lock:
        result = entry.result or DIED
        if entry.result is None and entry.state == "RUNNING":
            session.ledger.commit(attempt, result)
        session.ledger.tell(attempt, result)
        if attempt.point:  # a proposal that died before it had a point has no run either
            mirror(session, attempt, result)
        yield f"trial {attempt.number} was left unfinished: {result.outcome}"
    lock.release()
    session.store.remove_trial_files(attempt.uid)


def _without_outcome(session: Session) -> list[Entry]:
    """The last attempt at each point that has neither an outcome nor a waiting or running try."""
    by_point = defaultdict(list)
    for entry in session.ledger.entries():
        if entry.attempt.point:
            by_point[entry.attempt.point].append(entry)
    return [
        entries[-1]
        for entries in by_point.values()
        if all(e.state == "FAIL" and e.result and not e.result.final for e in entries)
    ]
