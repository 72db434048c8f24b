"""Open a ledger: make it, or verify that it holds the same spec and extend it."""

import dataclasses
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import Epoch
from fashion_hpo.design.confirmation import Confirmation
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
from fashion_hpo.stores.ledger import NARROWED, Ledger
from fashion_hpo.stores.samplers import make_pruner
from fashion_hpo.stores.schema import LOCK_WAIT_SECONDS, alone, check_ledger, make_empty
from fashion_hpo.stores.warm_start import warm_start

LAST_DESCRIBED = "extent"  # the attribute that a ledger gets last: without it, it was not finished

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_ledger(
    store: Store,
    plan: Plan,
    data_hash: str,
    *,
    threads: int,
    precision: str = "fp32",
    revise: bool = False,
    worker: int = 0,
) -> Ledger:
    """Create the plan's ledger, or verify and extend the one there is.

    A new one keeps `threads` and `precision` for all its trials, wherever they run.  Raises
    StoreError if a ledger of another spec or other data is there, naming the differences.
    """
    with store.lock("databases"):
        check_ledger(store)  # names an address that is wrong, which taking its lock does not
    # First use of a fresh database by two processes crashes, and two may not make one ledger.
    with store.lock("databases"), alone(store.ledger_url, "ledgers"):
        storage = connect(store)
        name = _newest_name(storage, plan)
        if name is None or revise or not _is_described(storage, name):
            plan = _begun(store, storage, plan)
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
            _describe(study, plan, data_hash, threads, precision)
        plan = _extended(study, plan, data_hash)
    return Ledger(study, storage, plan, _leases(store, storage), worker)


def _is_described(storage: RDBStorage, name: str) -> bool:
    """Whether a ledger's maker has finished it; nothing was run before."""
    return LAST_DESCRIBED in optuna.load_study(study_name=name, storage=storage).user_attrs


def _begun(store: Store, storage: RDBStorage, plan: Plan) -> Plan:
    """A new ledger's plan, with the points of an earlier search that it is to begin with."""
    if plan.search is None or not plan.search.warm_start:
        return plan
    name, budget = source_of(plan.search.warm_start, plan.budget)
    wanted = dataclasses.replace(plan, name=name, budget=budget)
    newest = ledger_name(wanted, _revisions(storage, wanted))
    source = _kept(store, storage, newest) if newest in _names(storage) else None
    return dataclasses.replace(plan, warm_start=warm_start(plan, source))


def read_ledger(store: Store, plan: Plan) -> Ledger | None:
    """The newest ledger of a plan's study and budget, to be read; None if there is none.

    Raises UnreadableLedgerError if this version cannot read it.
    """
    return next(read_ledgers(store, [plan]), None)


def read_ledgers(store: Store, plans: Iterable[Plan]) -> Iterator[Ledger]:
    """Those of several plans that there are, in their order; opening a database takes its time.

    A store without a database is left without one.  Raises UnreadableLedgerError when it comes to
    a ledger that this version cannot read.
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
            return None  # its maker died, and nothing was run
        kept = study.user_attrs  # its own base config, which --set may have changed
        plan = dataclasses.replace(_grown(plan, kept["extent"]), base=kept_base(kept))
        return Ledger(study, storage, plan, _leases(store, storage))


def confirmation_of(store: Store, ledger: Ledger) -> Ledger | None:
    """The ledger in which a search's finalists are trained on fresh seeds; None if there is none.

    Its seed indices from 1 are the finalists'; 0 have pruned points that were trained to their end.
    """
    if ledger.plan.search is None:
        return None
    nothing = Confirmation(of=ledger.name, uid=ledger.uid, finalists=())
    return read_ledger(store, confirmation_plan(ledger.plan, nothing, seeds=0))


def all_ledgers(store: Store) -> list[Ledger]:
    """Every ledger in the store that can be read: all studies, budgets and revisions, with or
    without a study file."""
    return readable_and_not(store)[0]


def readable_and_not(store: Store) -> tuple[list[Ledger], list[UnreadableLedgerError]]:
    """The same, and an error for each ledger that this version cannot read."""
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


def _kept(store: Store, storage: RDBStorage, name: str) -> Ledger | None:
    """A ledger as it is kept, whatever the study file says now; None if it is another program's, or
    its maker died."""
    with readable(name):
        kept = optuna.load_study(study_name=name, storage=storage).user_attrs
    if LAST_DESCRIBED not in kept:
        return None
    plan = kept_plan(name, kept)
    return Ledger(_load(storage, name, plan), storage, plan, _leases(store, storage))


def _check_readable(ledger: Ledger) -> None:
    """Raise UnreadableLedgerError unless its points, trials and curves can be read as well."""
    with readable(ledger.name, ledger.uid):
        points(ledger.plan)
        for entry in ledger.entries():
            for epoch in entry.result.history if entry.result else ():
                Epoch(**epoch)


def ledger_name(plan: Plan, revision: int) -> str:
    """Optuna's name of it."""
    return f"{plan.name}/{plan.budget}/r{revision}"


def connect(store: Store) -> RDBStorage:
    """Open Optuna's database; raises StoreError, without the password, where that fails or another
    schema is there, which is left as it is."""
    check_ledger(store)
    url = store.ledger_url
    local = url.startswith("sqlite")
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if local:
        arguments = {"connect_args": {"timeout": LOCK_WAIT_SECONDS}}
    try:
        with alone(url, "tables of Optuna"):
            make_empty(url)
            storage = RDBStorage(url, engine_kwargs=arguments)
        if local:
            with storage.engine.connect() as connection:
                connection.execute(text("PRAGMA journal_mode=WAL"))
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
    """Of the plan's ledgers; a confirmation has one for each revision of its search."""
    if plan.confirmation is None:
        revision = _revisions(storage, plan)
        return ledger_name(plan, revision) if revision else None
    return plan.confirmation.name if plan.confirmation.name in _names(storage) else None


def _next_name(storage: RDBStorage, plan: Plan) -> str:
    if plan.confirmation is not None:
        return plan.confirmation.name
    return ledger_name(plan, _revisions(storage, plan) + 1)


def _revisions(storage: RDBStorage, plan: Plan) -> int:
    """How many there are."""
    name = re.compile(re.escape(f"{plan.name}/{plan.budget}/r") + r"\d+")
    return sum(bool(name.fullmatch(there)) for there in _names(storage))


def _names(storage: RDBStorage) -> set[str]:
    """Of all studies in Optuna's database; its own list fails where one of them is damaged."""
    with storage.engine.connect() as connection:
        return {str(row[0]) for row in connection.execute(text("SELECT study_name FROM studies"))}


def _leases(store: Store, storage: RDBStorage) -> Leases | None:
    """None where the database is the store's own, which no other host can share."""
    return None if store.storage is None else Leases(store, storage)


def _describe(
    study: optuna.Study, plan: Plan, data_hash: str, threads: int, precision: str
) -> None:
    identity = plan.identity()
    kept = {
        "uid": uuid.uuid4().hex[:12],
        "identity": canonical_json(identity),
        "spec_hash": digest(identity),
        "question": plan.question,
        "data_hash": data_hash,
        "threads": threads,
        "precision": precision,
        "logits": "in the store",
        **_narrowing(plan),
        LAST_DESCRIBED: plan.extent(),
    }
    there = study.user_attrs  # some, if its maker died here
    for key, value in kept.items():
        if key not in there:
            study.set_user_attr(key, value)
            wrote("ledger described")


def _narrowing(plan: Plan) -> dict[str, str]:
    """That a search's ranges are narrowed, where they are; ledgers of before draw as they did."""
    if plan.search is None or plan.search.is_drawn:
        return {}
    ranges = narrowed(plan.search.space, plan.base)
    names = [name for name, each in ranges.items() if each != plan.search.space[name]]
    return {NARROWED: ", ".join(names)} if names else {}


def _load(storage: RDBStorage, name: str, plan: Plan) -> optuna.Study:
    study = optuna.load_study(study_name=name, storage=storage)
    if plan.search is not None:
        study.pruner = make_pruner(plan.search.pruner, plan.base.epochs)
    return study


def _extended(study: optuna.Study, plan: Plan, data_hash: str) -> Plan:
    """The plan with all that the ledger holds as well; refused if it is not the same spec."""
    kept = study.user_attrs
    found = differences(_parsed(kept["identity"]), _parsed(canonical_json(plan.identity())))
    if kept["data_hash"] != data_hash:
        found.append(f"data: {kept['data_hash'][:12]}… → {data_hash[:12]}…")
    old, new = [each.name.lower() for each in study.directions], directions(plan.objectives)
    if old != new:
        found.append(f"direction: {', '.join(old)} → {', '.join(new)}")
    for name, levels in kept["extent"]["scientific"].items():
        if lost := [value for value in levels if value not in plan.scientific.get(name, ())]:
            found.append(f"scientific.{name}: {lost} left out")
    found += _other_beginning(plan, kept_warm_start(kept["extent"]))
    if found:
        raise StoreError(
            f"ledger {study.study_name} holds another spec ({'; '.join(found)}); undo the change, "
            "or run the same command with --revise, which starts a new revision."
        )
    plan = _grown(plan, kept["extent"])
    if plan.extent() != kept["extent"]:
        study.set_user_attr("extent", plan.extent())
    return plan


def _other_beginning(plan: Plan, kept: WarmStart | None) -> list[str]:
    """How a warm start that is asked for differs from the one that a ledger had."""
    if plan.search is None or not plan.search.warm_start:
        return []
    asked = source_of(plan.search.warm_start, plan.budget)
    if kept is not None and kept.source == asked:
        return []
    return [f"warm_start: {':'.join(kept.source) if kept else 'none'} → {':'.join(asked)}"]


def _grown(plan: Plan, kept: Mapping[str, Any]) -> Plan:
    """The plan, no smaller than what the ledger was extended to before."""
    search = plan.search
    if search is not None:
        search = dataclasses.replace(
            search,
            trials=max(search.trials, kept["trials"]),
            resume_pruned=max(search.resume_pruned, kept.get("resume_pruned", 0)),
        )
    levels = {
        name: tuple(dict.fromkeys((*values, *kept["scientific"].get(name, ()))))
        for name, values in plan.scientific.items()
    }
    repeated = plan.confirmation
    return dataclasses.replace(
        plan,
        search=search,
        confirmation=None if repeated is None else repeated.grown(kept),
        warm_start=kept_warm_start(kept),
        scientific=levels,
        seeds=max(plan.seeds, kept["seeds"]),
        nuisance_points=max(plan.nuisance_points, kept["nuisance_points"]),
    )


def _parsed(canonical: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(canonical)
    return value
