"""Make MLflow's database again from the ledgers, with the model files that are still there.

The new one is made in a folder of the store and takes the old one's place when it is whole: a kill
at any moment leaves one of the two, and the same command goes on from there.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
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
    """What was made: `found` and `lost` are the uids of trials whose model is there, or is not."""

    ledgers: int
    runs: int
    found: list[str]
    lost: list[str]
    unread: list[str]  # ledgers that cannot be read, why, in words
    aside: Path | None  # the database that was there


def rebuild(store: Store) -> Rebuilt:
    """Make study runs, trial runs, curves, summaries and models of every ledger again.

    To be called once in a process, before a Tracker of the store is made: MLflow keeps databases
    open.  The registry's versions are in no ledger.
    Raises StoreError if tracking is elsewhere, if there is no ledger, or while a trial is under
    way.
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
    _check_idle(store, ledgers)
    with store.lock("rebuilding"):
        making = _prepared(store)
        mirrors = [Mirror(store, each, Tracker(making, each.plan.name)) for each in ledgers]
        for mirror in mirrors:
            list(reconcile(mirror))
        with store.lock("claim"):
            _check_idle(store, ledgers)
            files = Files(store)
            made = [trial for mirror in mirrors for trial in _mirror_again(mirror, files)]
            aside = _put_in_place(store, making)
    return Rebuilt(
        ledgers=len(ledgers),
        runs=len(made),
        found=[uid for uid, has_model in made if has_model],
        lost=[uid for uid, has_model in made if has_model is False],
        unread=[f"{error.name} ({error.reason})" for error in unread],
        aside=aside,
    )


def _check_idle(store: Store, ledgers: list[Ledger]) -> None:
    for ledger in ledgers:
        for entry in ledger.entries():
            if is_alive(store, ledger, entry):
                raise StoreError(
                    f"trial {entry.attempt.number} of {ledger.name} is under way; stop its study, "
                    "then rebuild."
                )
    for uid in sorted(store.trials_under_way()):  # of ledgers that cannot be read as well
        if is_held(store, uid):
            raise StoreError(f"trial {uid} is under way; stop its study, then rebuild.")


def _prepared(store: Store) -> Store:
    """A store for the new database, perhaps begun by a killed process; the artifacts are shared."""
    making = Store(store.root / ".rebuilding")
    making.root.mkdir(exist_ok=True)
    store.artifacts.mkdir(exist_ok=True)
    with suppress(FileExistsError):
        making.artifacts.symlink_to(Path("..", store.artifacts.name))
    return making


def _mirror_again(mirror: Mirror, files: Files) -> Iterator[tuple[str, bool | None]]:
    """Each trial's uid, and whether its model was found; None if it made none."""
    ledger, tracker = mirror.ledger, mirror.tracker
    run = mirror.study_run()
    tracker.set_tags(run, {"rebuilt": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"})
    for entry in ledger.entries():
        if is_mirrored(entry):
            result = entry.result or DIED
            whole = complete_again(mirror, entry.attempt, result, files)
            yield entry.attempt.uid, whole if part(result, MODEL) else None
    tracker.set_status(run, "SCHEDULED" if ledger.remaining() else "FINISHED")


def _put_in_place(store: Store, making: Store) -> Path | None:
    """Let the new database be the store's; returns where the old one is kept."""
    old, aside = store.root / "mlflow.db", None
    relocate_database(making.root / "mlflow.db", store.root)
    _close(making.root / "mlflow.db")
    if old.exists():
        _close(old)
        aside = _kept(old)
        for suffix in ("-wal", "-shm", "-journal"):  # which only a damaged one still has
            with suppress(FileNotFoundError):
                os.replace(f"{old}{suffix}", f"{aside}{suffix}")
        wrote("old database kept")
    os.replace(making.root / "mlflow.db", old)
    wrote("new database in place")
    shutil.rmtree(making.root)
    return aside


def _kept(old: Path) -> Path:
    """Another name for the old database; at no moment is it without one."""
    for name in old.parent.glob("mlflow.db.before-*"):
        if name.samefile(old):  # of a process that was killed after this
            return name
    aside = old.with_name(f"mlflow.db.before-{datetime.now():%Y%m%d-%H%M%S}")
    try:
        os.link(old, aside)
    except OSError:  # a file system without links
        shutil.copy2(old, aside)
    return aside


def _close(database: Path) -> None:
    """Bring what sqlite keeps beside a database into it."""
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
