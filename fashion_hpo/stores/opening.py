"""Open a ledger: create it, or verify that it holds the same spec and extend it."""

import dataclasses
import json
import re
import uuid
import weakref
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design import coupling
from fashion_hpo.design.config import Epoch
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo
from fashion_hpo.design.narrowing import narrowed
from fashion_hpo.design.objectives import directions
from fashion_hpo.design.plan import (
    Plan,
    canonical_json,
    confirmation_plan,
    differences,
    digest,
    points,
)
from fashion_hpo.design.warm_start import WarmStart, kept_warm_start, source_of
from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.failures import is_disk_full, reason_of
from fashion_hpo.stores.kept import UnreadableLedgerError, kept_base, kept_plan, readable
from fashion_hpo.stores.layout import Store, StoreError, without_password
from fashion_hpo.stores.leases import Leases
from fashion_hpo.stores.ledger import DATA_SET, NARROWED, Ledger
from fashion_hpo.stores.samplers import make_pruner
from fashion_hpo.stores.schema import LOCK_WAIT_SECONDS, alone, check_ledger, make_empty
from fashion_hpo.stores.warm_start import warm_start

LAST_DESCRIBED = "extent"  # the last attribute written: without it the creation was interrupted

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_ledger(
    store: Store,
    plan: Plan,
    data_hash: str,
    *,
    threads: int,
    precision: str = "fp32",
    step: str = "eager",
    served_channels_last: bool = True,
    info: DataInfo = FASHION_MNIST,
    revise: bool = False,
    worker: int = 0,
) -> Ledger:
    """Create the plan's ledger, or verify and extend the existing one.

    A new ledger fixes `threads`, `precision`, `step` and the exported models' memory format for all
    its trials, wherever they run.
    Raises StoreError, naming the differences, if the existing ledger has another spec or other
    data.
    """
    with store.lock("databases"):
        check_ledger(store)  # gives the message for a wrong address, before `alone` connects
    # First use of a fresh database by two processes crashes, and only one may create a ledger.
    with store.lock("databases"), alone(store.ledger_url, "ledgers"):
        storage = connect(store)
        name = _newest_name(storage, plan)
        if name is None or revise or not _is_described(storage, name):
            plan = _with_warm_start(store, storage, plan)
        if name is None or revise:
            name = _next_name(storage, plan)
            optuna.create_study(
                storage=storage,
                study_name=name,
                directions=directions(plan.objectives),
                load_if_exists=True,
            )
            wrote("ledger created")
        study = _load(storage, name, plan)
        if LAST_DESCRIBED not in study.user_attrs:
            bits: dict[str, int | str] = {
                "threads": threads,
                "precision": precision,
                "step": step,
                "served_channels_last": served_channels_last,
            }
            _describe(study, plan, data_hash, info, bits)
        plan = _extended(study, plan, data_hash, info)
    return Ledger(study, storage, plan, _leases(store, storage), worker)


def _is_described(storage: RDBStorage, name: str) -> bool:
    """Whether the ledger has all its attributes; no trial runs before."""
    return LAST_DESCRIBED in optuna.load_study(study_name=name, storage=storage).user_attrs


def _with_warm_start(store: Store, storage: RDBStorage, plan: Plan) -> Plan:
    """A new ledger's plan, with the points of the earlier search that it starts from."""
    if plan.search is None or not plan.search.warm_start:
        return plan
    name, budget = source_of(plan.search.warm_start, plan.budget)
    earlier = dataclasses.replace(plan, name=name, budget=budget)
    newest = ledger_name(earlier, _revisions(storage, earlier))
    source = _kept(store, storage, newest) if newest in _names(storage) else None
    return dataclasses.replace(plan, warm_start=warm_start(plan, source))


def read_ledger(store: Store, plan: Plan) -> Ledger | None:
    """The newest ledger of a plan's study and budget, for reading; None if there is none.

    Raises UnreadableLedgerError if this version cannot read the ledger.
    """
    return next(read_ledgers(store, [plan]), None)


def read_ledgers(store: Store, plans: Iterable[Plan]) -> Iterator[Ledger]:
    """The newest ledger of each plan that has one; opens the database once.

    Creates no database.  Raises UnreadableLedgerError at a ledger that this version cannot read.
    """
    if not store.has_ledgers:
        return
    with store.lock("databases"):
        storage = connect(store)
    for plan in plans:
        if (ledger := _newest(store, storage, plan)) is not None:
            yield ledger


def _newest(store: Store, storage: RDBStorage, plan: Plan) -> Ledger | None:
    name = _newest_name(storage, plan)
    if name is None:
        return None
    with readable(name):
        study = _load(storage, name, plan)
        if LAST_DESCRIBED not in study.user_attrs:
            return None  # its creation was interrupted; no trial ran
        stored = study.user_attrs  # its base config may differ from the plan's by --set
        plan = dataclasses.replace(_grown(plan, stored["extent"]), base=kept_base(stored))
        return Ledger(study, storage, plan, _leases(store, storage))


def confirmation_of(store: Store, ledger: Ledger) -> Ledger | None:
    """The ledger in which a search's finalists are trained on fresh seeds; None if there is none.

    Seed indices from 1 are the fresh seeds; index 0 is that of pruned points trained to completion.
    """
    if ledger.plan.search is None:
        return None
    empty = Confirmation(of=ledger.name, uid=ledger.uid, finalists=())
    return read_ledger(store, confirmation_plan(ledger.plan, empty, seeds=0))


def all_ledgers(store: Store) -> list[Ledger]:
    """Every readable ledger of the store: all studies, budgets and revisions, with or without a
    study file."""
    return readable_and_not(store)[0]


def readable_and_not(store: Store) -> tuple[list[Ledger], list[UnreadableLedgerError]]:
    """Every readable ledger of the store, and an error for each unreadable ledger."""
    if not store.has_ledgers:
        return [], []
    with store.lock("databases"):
        storage = connect(store)
    ledgers, errors = [], []
    for name in sorted(_names(storage)):
        try:
            if (ledger := _kept(store, storage, name)) is not None:
                _check_readable(ledger)
                ledgers.append(ledger)
        except UnreadableLedgerError as error:
            errors.append(error)
    return ledgers, errors


def ledger_of_trial(store: Store, uid: str) -> Ledger | None:
    """The ledger of a trial, by its uid; None if there is none.

    Raises UnreadableLedgerError if this version cannot read that ledger.
    """
    ledgers, errors = readable_and_not(store)
    for error in errors:
        if error.uid and uid.startswith(f"{error.uid}-"):
            raise error
    return next((ledger for ledger in ledgers if uid.startswith(f"{ledger.uid}-")), None)


def ledger_names(store: Store) -> list[str]:
    """The names of all Optuna studies of the store, also of unreadable and unfinished ledgers."""
    if not store.has_ledgers:
        return []
    with store.lock("databases"):
        return sorted(_names(connect(store)))


def ledgers_of_spec(store: Store, spec_hash: str) -> list[str]:
    """The names of the ledgers with this hash of their spec."""
    if not store.has_ledgers:
        return []
    with store.lock("databases"):
        storage = connect(store)
    statement = text(
        "SELECT study_name FROM studies JOIN study_user_attributes USING (study_id) "
        "WHERE key = 'spec_hash' AND value_json = :spec_hash"
    )
    with storage.engine.connect() as connection:
        rows = connection.execute(statement, {"spec_hash": json.dumps(spec_hash)})
        return sorted(str(row[0]) for row in rows)


def delete_ledger(store: Store, name: str) -> None:
    """Delete a ledger with its trials, in one transaction."""
    optuna.delete_study(study_name=name, storage=connect(store))
    wrote("ledger deleted")


def _kept(store: Store, storage: RDBStorage, name: str) -> Ledger | None:
    """A ledger with its stored plan, whatever the study file says now; None if another program's or
    its creation was interrupted."""
    with readable(name):
        stored = optuna.load_study(study_name=name, storage=storage).user_attrs
    if LAST_DESCRIBED not in stored:
        return None
    plan = kept_plan(name, stored)
    return Ledger(_load(storage, name, plan), storage, plan, _leases(store, storage))


def _check_readable(ledger: Ledger) -> None:
    """Raise UnreadableLedgerError unless the ledger's points, trials and curves can be read."""
    with readable(ledger.name, ledger.uid):
        points(ledger.plan)
        for entry in ledger.entries():
            for epoch in entry.result.history if entry.result else ():
                Epoch(**epoch)


def ledger_name(plan: Plan, revision: int) -> str:
    """The name of a ledger in Optuna."""
    return f"{plan.name}/{plan.budget}/r{revision}"


def connect(store: Store) -> RDBStorage:
    """Open Optuna's database.

    Raises StoreError, without the password, if the database cannot be opened or has another schema;
    a database with another schema is not changed.
    """
    is_checked = check_ledger(store)
    url = store.ledger_url
    local = url.startswith("sqlite")
    # One connection for the worker, and for a moment one for the thread that renews its lease.
    arguments: dict[str, Any] = {"pool_pre_ping": True, "pool_size": 1, "max_overflow": 1}
    if local:
        arguments = {"connect_args": {"timeout": LOCK_WAIT_SECONDS}}
    try:
        with alone(url, "tables of Optuna"):
            make_empty(url)
            # Optuna's own check loads all migrations, which takes most of the time to connect.
            storage = RDBStorage(url, engine_kwargs=arguments, skip_compatibility_check=is_checked)
        if local:
            with storage.engine.connect() as connection:
                connection.execute(text("PRAGMA journal_mode=WAL"))
            # The last connection that is closed puts SQLite's log into the database.
            weakref.finalize(storage, storage.engine.dispose)
    except (SQLAlchemyError, StorageInternalError, RuntimeError, ImportError) as error:
        if is_disk_full(error):
            raise
        reason = reason_of(error)
        raise StoreError(
            f"storage {without_password(url)} cannot be opened ({without_password(reason)}); "
            "correct --storage or move the file away."
        ) from None
    return storage


def _newest_name(storage: RDBStorage, plan: Plan) -> str | None:
    """The name of the plan's newest ledger; a confirmation has one per revision of its search."""
    if plan.confirmation is None:
        revision = _revisions(storage, plan)
        return ledger_name(plan, revision) if revision else None
    return plan.confirmation.name if plan.confirmation.name in _names(storage) else None


def _next_name(storage: RDBStorage, plan: Plan) -> str:
    if plan.confirmation is not None:
        return plan.confirmation.name
    return ledger_name(plan, _revisions(storage, plan) + 1)


def _revisions(storage: RDBStorage, plan: Plan) -> int:
    """The number of the plan's ledgers."""
    pattern = re.compile(re.escape(f"{plan.name}/{plan.budget}/r") + r"\d+")
    return sum(bool(pattern.fullmatch(name)) for name in _names(storage))


def _names(storage: RDBStorage) -> set[str]:
    """The names of all Optuna studies; Optuna's own list fails if one study is damaged."""
    with storage.engine.connect() as connection:
        return {str(row[0]) for row in connection.execute(text("SELECT study_name FROM studies"))}


def _leases(store: Store, storage: RDBStorage) -> Leases | None:
    """The store's leases; None for a database in its folder, which no other host can share."""
    return None if store.storage is None else Leases(store, storage)


def _describe(
    study: optuna.Study,
    plan: Plan,
    data_hash: str,
    info: DataInfo,
    bits: Mapping[str, int | str],
) -> None:
    """Write a new ledger's attributes; `bits` are settings that the bits of a result depend on."""
    identity = plan.identity()
    attributes = {
        "uid": uuid.uuid4().hex[:12],
        "identity": canonical_json(identity),
        "spec_hash": digest(identity),
        "question": plan.question,
        "data_hash": data_hash,
        **({} if info.is_default else {DATA_SET: info.to_dict()}),
        **bits,
        "logits": "in the store",
        **_narrowing(plan),
        LAST_DESCRIBED: plan.extent(),
    }
    stored = study.user_attrs  # not empty if an earlier creation was interrupted here
    for key, value in attributes.items():
        if key not in stored:
            study.set_user_attr(key, value)
            wrote("ledger described")


def _narrowing(plan: Plan) -> dict[str, str]:
    """The attribute of a search with narrowed ranges; ledgers without it sample as before."""
    if plan.search is None or plan.search.is_drawn:
        return {}
    ranges = narrowed(plan.search.space, plan.base)
    names = [name for name, narrow in ranges.items() if narrow != plan.search.space[name]]
    return {NARROWED: ", ".join(names)} if names else {}


def _load(storage: RDBStorage, name: str, plan: Plan) -> optuna.Study:
    study = optuna.load_study(study_name=name, storage=storage)
    if plan.search is not None:
        study.pruner = make_pruner(plan.search.pruner, plan.base.epochs)
    return study


def _extended(study: optuna.Study, plan: Plan, data_hash: str, info: DataInfo) -> Plan:
    """The plan united with the ledger's extent; raises StoreError if the specs differ."""
    stored = study.user_attrs
    identity = json.loads(canonical_json(plan.identity()))
    changed = differences(json.loads(stored["identity"]), identity)
    before = DataInfo.from_dict(stored.get(DATA_SET))
    if stored["data_hash"] != data_hash or before.name != info.name:
        old_data, new_data = f"{before.name} {stored['data_hash'][:12]}…", f"{data_hash[:12]}…"
        changed.append(f"data: {old_data} → {info.name} {new_data}")
    old, new = [d.name.lower() for d in study.directions], directions(plan.objectives)
    if old != new:
        changed.append(f"direction: {', '.join(old)} → {', '.join(new)}")
    for name, levels in stored["extent"]["scientific"].items():
        if lost := [value for value in levels if value not in plan.scientific.get(name, ())]:
            changed.append(f"scientific.{name}: {lost} left out")
    trained = stored["extent"]["scientific"]
    changed += coupling.changes(coupling.from_extent(stored["extent"]), plan.coupled, trained)
    changed += _other_warm_start(plan, kept_warm_start(stored["extent"]))
    if changed:
        raise StoreError(
            f"ledger {study.study_name} holds another spec ({'; '.join(changed)}); undo the "
            "change, or run the same command with --revise, which starts a new revision."
        )
    if info != before:  # the files were moved
        study.set_user_attr(DATA_SET, info.to_dict())
    plan = _grown(plan, stored["extent"])
    if plan.extent() != stored["extent"]:
        study.set_user_attr("extent", plan.extent())
    return plan


def _other_warm_start(plan: Plan, stored: WarmStart | None) -> list[str]:
    """How the plan's warm start differs from the ledger's."""
    if plan.search is None or not plan.search.warm_start:
        return []
    source = source_of(plan.search.warm_start, plan.budget)
    if stored is not None and stored.source == source:
        return []
    return [f"warm_start: {':'.join(stored.source) if stored else 'none'} → {':'.join(source)}"]


def _grown(plan: Plan, extent: Mapping[str, Any]) -> Plan:
    """The plan, at least as large as the ledger's stored extent."""
    search = plan.search
    if search is not None:
        search = dataclasses.replace(
            search,
            trials=max(search.trials, extent["trials"]),
            resume_pruned=max(search.resume_pruned, extent.get("resume_pruned", 0)),
        )
    levels = {
        name: tuple(dict.fromkeys((*values, *extent["scientific"].get(name, ()))))
        for name, values in plan.scientific.items()
    }
    confirmation = plan.confirmation
    return dataclasses.replace(
        plan,
        search=search,
        confirmation=None if confirmation is None else confirmation.grown(extent),
        warm_start=kept_warm_start(extent),
        coupled=coupling.grown(plan.coupled, coupling.from_extent(extent)),
        scientific=levels,
        seeds=max(plan.seeds, extent["seeds"]),
        nuisance_points=max(plan.nuisance_points, extent["nuisance_points"]),
    )
