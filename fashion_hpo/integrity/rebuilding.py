"""Rebuild MLflow's database from the ledgers and the surviving model files.

The new database is built in a folder of the store and replaces the old one when complete: after a
kill at any moment one of the two is in place, and the same command goes on.
"""

import os
import shutil
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.evidence import MODEL, is_alive, is_held, is_mirrored, part
from fashion_hpo.integrity.finding import Files, complete_again
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.running.reconcile import DIED, reconcile
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import readable_and_not
from fashion_hpo.stores.relocation import relocate_database
from fashion_hpo.stores.tracking import Tracker


@dataclass(frozen=True)
class Rebuilt:
    """Counts of what was rebuilt; `found` and `lost`: the uids of trials by their model's fate."""

    ledgers: int
    runs: int
    found: list[str]
    lost: list[str]
    unread: list[str]  # unreadable ledgers, each with the reason
    aside: Path | None  # the old database


def rebuild(store: Store) -> Rebuilt:
    """Rebuild the study runs, trial runs, curves, summaries and models of every ledger.

    Registered versions are not rebuilt, because no ledger has them.  Call this once in a process,
    before creating a Tracker of the store, because MLflow keeps databases open.  Raises StoreError
    if tracking is outside the store, if there is no ledger, or while a trial is running.
    """
    if store.tracking is not None:
        raise StoreError(
            "MLFLOW_TRACKING_URI names a tracking store elsewhere, which is not rebuilt; unset it "
            "for the mlflow.db of this store, or mend that one with `python -m fashion_hpo.doctor "
            "--fix`."
        )
    ledgers, unread = readable_and_not(store)
    if not ledgers:
        raise StoreError(f"store {store.root} has no ledger to rebuild from; run a study first.")
    check_idle(store, ledgers)
    with store.lock("rebuilding"):
        new = _prepared(store)
        mirrors = [Mirror(store, ledger, Tracker(new, ledger.plan.name)) for ledger in ledgers]
        for mirror in mirrors:
            list(reconcile(mirror))
        with store.lock("claim"):
            check_idle(store, ledgers)
            files = Files(store)
            trials = [trial for mirror in mirrors for trial in _mirror_again(mirror, files)]
            aside = _put_in_place(store, new)
    return Rebuilt(
        ledgers=len(ledgers),
        runs=len(trials),
        found=[uid for uid, has_model in trials if has_model],
        lost=[uid for uid, has_model in trials if has_model is False],
        unread=[f"{error.name} ({error.reason})" for error in unread],
        aside=aside,
    )


def check_idle(
    store: Store, ledgers: Sequence[Ledger], uids: Collection[str] | None = None
) -> None:
    """Raise StoreError if a trial is running: of these ledgers, or of the ledgers with these uids.

    uids: of the ledgers whose trials count; default: all.
    """
    for ledger in ledgers:
        for entry in ledger.entries():
            if is_alive(store, ledger, entry):
                raise StoreError(
                    f"trial {entry.attempt.number} of {ledger.name} is under way; stop its study "
                    "first."
                )
    for uid in sorted(store.trials_under_way()):  # also of unreadable ledgers
        if (uids is None or uid.rpartition("-")[0] in uids) and is_held(store, uid):
            raise StoreError(f"trial {uid} is under way; stop its study first.")


def _prepared(store: Store) -> Store:
    """A store for the new database, perhaps begun by a killed process; it shares the artifacts."""
    new = Store(store.root / ".rebuilding")
    new.root.mkdir(exist_ok=True)
    store.artifacts.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        new.artifacts.symlink_to(Path("..", store.artifacts.name))
    return new


def _mirror_again(mirror: Mirror, files: Files) -> Iterator[tuple[str, bool | None]]:
    """Each trial's uid, and whether its model survived; None if the trial had no model."""
    ledger, tracker = mirror.ledger, mirror.tracker
    run = mirror.study_run()
    tracker.set_tags(run, {"rebuilt": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"})
    for entry in ledger.entries():
        if is_mirrored(entry):
            result = entry.result or DIED
            whole = complete_again(mirror, entry.attempt, result, files)
            yield entry.attempt.uid, whole if part(result, MODEL) else None
    tracker.set_status(run, "SCHEDULED" if ledger.remaining() else "FINISHED")


def _put_in_place(store: Store, new: Store) -> Path | None:
    """Replace the store's database by the new one; returns the old database's new path."""
    old, aside = store.root / "mlflow.db", None
    relocate_database(new.root / "mlflow.db", store.root)
    _close(new.root / "mlflow.db")
    if old.exists():
        _close(old)
        aside = _linked(old)
        for suffix in ("-wal", "-shm", "-journal"):  # only a damaged database still has them
            with suppress(FileNotFoundError):
                os.replace(f"{old}{suffix}", f"{aside}{suffix}")
        wrote("old database kept")
    os.replace(new.root / "mlflow.db", old)
    wrote("new database in place")
    shutil.rmtree(new.root)
    return aside


def _linked(old: Path) -> Path:
    """Link the old database to a second name, so that one name is left whenever a kill comes."""
    for name in old.parent.glob("mlflow.db.before-*"):
        if name.samefile(old):  # linked by a process that was killed later
            return name
    aside = old.with_name(f"mlflow.db.before-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        os.link(old, aside)
    except OSError:  # a file system without links
        shutil.copy2(old, aside)
    return aside


def _close(database: Path) -> None:
    """Merge sqlite's files beside the database into it."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
