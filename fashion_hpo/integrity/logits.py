"""Check and mend the validation logits in the store."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from fashion_hpo.integrity.evidence import Evidence, Violation, is_held
from fashion_hpo.integrity.finding import Files
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger
from fashion_hpo.stores.predictions import HASHED_AS, NoPredictionsError, PredictionFiles


def check_logits(seen: Evidence) -> Iterator[Violation]:
    """The store has each trial's logits unaltered, and no other logits.

    Exceptions: an earlier version's logits are in MLflow only; another host's, in its store.
    """
    store, hashes = seen.store, hashes_of(seen.entries)
    for entry, _ in seen.closed:
        uid = entry.attempt.uid
        path = store.logits(uid)
        where = path.relative_to(store.root).as_posix()
        if uid not in hashes:
            continue
        if not path.exists():
            if seen.ledger.keeps_logits and not _is_foreign(seen.ledger, entry):
                yield Violation("logits", where, "is missing")
        elif not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != hashes[uid]:
            yield Violation("logits", where, "is altered")
    running = {entry.attempt.uid for entry in seen.entries if entry.state == "RUNNING"}
    for path in sorted((store.root / "logits" / seen.ledger.uid).glob("*.npz")):
        uid = path.stem
        if uid not in hashes | dict.fromkeys(seen.alive | running) and not is_held(store, uid):
            where = path.relative_to(store.root).as_posix()
            yield Violation("leftover", where, "is of no trial that wrote it")


def mend_logits(store: Store, ledger: Ledger, violations: Iterable[Violation]) -> Iterator[str]:
    """Restore missing logits from MLflow, or from an equal file anywhere in the store."""
    missing = [violation.where for violation in violations if violation.invariant == "logits"]
    if not missing:
        return
    hashes, files = hashes_of(ledger.entries()), Files(store)
    copies = PredictionFiles(store, ledger.plan.name, ledger.name, hashes)
    for where in missing:
        uid = Path(where).stem
        try:
            content = copies.content(uid)
        except NoPredictionsError:
            if files.lacks({where: hashes[uid]}):
                continue
            content = files.read(hashes[uid])
        store.keep_logits(uid, content)
        yield f"{where} was put back"


def hashes_of(entries: Iterable[Entry]) -> dict[str, str]:
    """sha256 of the trials' logits, by uid."""
    return {
        entry.attempt.uid: entry.result.files[HASHED_AS]
        for entry in entries
        if entry.result is not None and HASHED_AS in entry.result.files
    }


def _is_foreign(ledger: Ledger, entry: Entry) -> bool:
    leases = ledger.leases
    return leases is not None and entry.lease is not None and leases.is_foreign(entry.lease)
