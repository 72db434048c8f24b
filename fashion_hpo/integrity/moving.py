"""Move a store from the databases in its folder to databases and servers that hosts can share.

The folder stays this host's part of the store: checkpoints, logits, backbones and the log of
openings are used where they are.  The old databases are only read.  Every step may be repeated, so
that after a kill the same command goes on.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.storages import RDBStorage

from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.integrity.mirror_copy import MirrorCopy
from fashion_hpo.integrity.rebuilding import check_idle
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import all_ledgers, connect, readable_and_not
from fashion_hpo.stores.openings import merge
from fashion_hpo.stores.tracking import Tracker

FIX = "`python -m fashion_hpo.doctor --fix`"


@dataclass(frozen=True)
class Moved:
    """Counts of what was moved; `taken` are aliases that the new registry had already."""

    ledgers: int
    trials: int
    runs: int
    versions: int
    taken: list[str]


def move(store: Store, storage: str | None, tracking: str | None) -> Moved:
    """Copy ledgers to `storage` and MLflow's entries to `tracking`, verify both, mark the store.

    `store` has both databases in its folder; a part whose address is None stays there.  Raises
    StoreError, and does not mark the store, if a trial is running, if an invariant is violated
    before or after, or if the new storage has another ledger of the same name.
    """
    ledgers = _closed(store)
    new = dataclasses.replace(store, storage=storage, tracking=tracking)
    with store.lock("rebuilding"), store.lock("claim"):
        check_idle(store, ledgers)
        if storage is not None:
            _copy_ledgers(connect(store), connect(new), ledgers)
            merge(new)
        runs, versions, taken = 0, 0, list[str]()
        if tracking is not None:
            mirror = MirrorCopy(store, new)
            runs = mirror.experiments()
            versions, taken = mirror.registry()
    _check(new, all_ledgers(new), "the copy", "the store is not marked as moved: move it again")
    store.mark_as_moved(storage, tracking)
    wrote("store marked as moved")
    trials = sum(len(ledger.entries()) for ledger in ledgers)
    return Moved(len(ledgers), trials, runs, versions, taken)


def _closed(store: Store) -> Sequence[Ledger]:
    """The store's ledgers, whose dead trials are closed and whose invariants hold."""
    ledgers, unreadable = readable_and_not(store)
    if unreadable:
        raise StoreError(
            f"ledger {unreadable[0].name} cannot be read by this version ({unreadable[0].reason}), "
            "so the store is not moved; see `python -m fashion_hpo.doctor`."
        )
    if not ledgers:
        raise StoreError(f"store {store.root} has no ledger to move; run a study first.")
    check_idle(store, ledgers)
    for ledger in ledgers:
        list(reconcile(Mirror(store, ledger, Tracker(store, ledger.plan.name))))
    _check(store, ledgers, f"store {store.root}", f"mend it with {FIX}, then move it")
    return ledgers


def _check(store: Store, ledgers: Sequence[Ledger], what: str, advice: str) -> None:
    for ledger in ledgers:
        if violations := examine(store, ledger, Tracker(store, ledger.plan.name)):
            raise StoreError(
                f"{what} has {len(violations)} violation(s) in {ledger.name}, the first "
                f"{violations[0]}; {advice}."
            )


def _copy_ledgers(old: RDBStorage, new: RDBStorage, ledgers: Sequence[Ledger]) -> None:
    present = {study.study_name: study for study in optuna.get_all_study_summaries(new)}
    for ledger in ledgers:
        name = ledger.name
        if (copy := present.get(name)) is not None:
            if copy.user_attrs.get("uid", ledger.uid) != ledger.uid:
                raise StoreError(
                    f"the new storage has a ledger {name} of another store; name another database "
                    "with --to."
                )
            if _contents(new, name) == _contents(old, name):
                continue
            optuna.delete_study(study_name=name, storage=new)  # half copied by a killed process
        optuna.copy_study(from_study_name=name, from_storage=old, to_storage=new)
        wrote("ledger copied")
        if _contents(new, name) != _contents(old, name):
            raise StoreError(
                f"ledger {name} in the new storage differs from the original; delete the new "
                "database and move again."
            )


def _contents(storage: RDBStorage, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A ledger's attributes and all that its trials hold, without the database's own ids."""
    study = optuna.load_study(study_name=name, storage=storage)
    trials = [vars(trial) for trial in study.get_trials(deepcopy=False)]
    return study.user_attrs, [{k: v for k, v in t.items() if k != "_trial_id"} for t in trials]
