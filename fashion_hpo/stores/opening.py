"""Open a ledger: make it, or verify that it holds the same spec and extend it."""

import dataclasses
import json
import re
import sys
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import optuna
from optuna.distributions import json_to_distribution
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.confirmation import SUFFIX, Confirmation
from fashion_hpo.design.objectives import directions
from fashion_hpo.design.plan import (
    Plan,
    canonical_json,
    confirmation_plan,
    differences,
    digest,
    make_plan,
)
from fashion_hpo.design.spec import Budget, Search, StudySpec
from fashion_hpo.design.warm_start import WarmStart, kept_warm_start, source_of
from fashion_hpo.stores.failures import is_disk_full, reason_of
from fashion_hpo.stores.layout import Store, StoreError, without_password
from fashion_hpo.stores.leases import Leases
from fashion_hpo.stores.ledger import Ledger
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
            sys.audit("fashion_hpo.write", "ledger created")
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
    there = (each.study_name for each in storage.get_all_studies())
    revisions = _revisions(storage, wanted)
    newest = ledger_name(wanted, revisions)
    source = _kept(store, storage, newest) if newest in there else None
    return dataclasses.replace(plan, warm_start=warm_start(plan, source))


def read_ledger(store: Store, plan: Plan) -> Ledger | None:
    """The newest ledger of a plan's study and budget, to be read; None if there is none."""
    return next(iter(read_ledgers(store, [plan])), None)


def read_ledgers(store: Store, plans: Iterable[Plan]) -> list[Ledger]:
    """Those of several plans that there are, in their order; opening a database takes its time.

    A store without a database is left without one.
    """
    if not store.has_ledgers:
        return []
    with store.lock("databases"):
        storage = connect(store)
    found = (_newest(store, storage, plan) for plan in plans)
    return [ledger for ledger in found if ledger is not None]


def _newest(store: Store, storage: RDBStorage, plan: Plan) -> Ledger | None:
    name = _newest_name(storage, plan)
    if name is None:
        return None
    study = _load(storage, name, plan)
    if LAST_DESCRIBED not in study.user_attrs:
        return None  # its maker died, and nothing was run
    kept = study.user_attrs  # its own base config, which --set may have changed
    base = TrainConfig.from_dict(_parsed(kept["identity"])["base"])
    plan = dataclasses.replace(_grown(plan, kept["extent"]), base=base)
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
    """Every ledger in the store: all studies, budgets and revisions, with or without a study file.

    Raises StoreError for one that was written by another version of this program.
    """
    if not store.has_ledgers:
        return []
    with store.lock("databases"):
        storage = connect(store)
    names = sorted(study.study_name for study in storage.get_all_studies())
    found = (_kept(store, storage, name) for name in names)
    return [ledger for ledger in found if ledger is not None]


def _kept(store: Store, storage: RDBStorage, name: str) -> Ledger | None:
    """A ledger as it is kept, whatever the study file says now; None if it is another program's, or
    its maker died."""
    kept = optuna.load_study(study_name=name, storage=storage).user_attrs
    if LAST_DESCRIBED not in kept:
        return None
    plan = _kept_plan(name, kept)
    return Ledger(_load(storage, name, plan), storage, plan, _leases(store, storage))


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


def _kept_plan(ledger: str, kept: Mapping[str, Any]) -> Plan:
    """The plan as a ledger keeps it; claims and captions are the study file's alone."""
    identity, extent = _parsed(kept["identity"]), kept["extent"]
    name, budget, _ = ledger.removesuffix(SUFFIX).rsplit("/", 2)
    try:
        ranges = {
            field: json_to_distribution(json.dumps(described))
            for field, described in identity["ranges"].items()
        }
        search = None
        if identity["kind"] != "design":
            search = Search(
                space=ranges,
                trials=extent["trials"],
                sampler=identity["sampler"],
                pruner=identity["pruner"],
                defaults=bool(extent.get("defaults", False)),
                plateau=extent.get("plateau", 0),
                # A confirmation does not keep how many, and that pruner needs one.
                resume_pruned=extent.get("resume_pruned", int(identity["pruner"] == "one_epoch")),
                constraints=identity.get("constraints", {}),
                objectives=tuple(identity.get("objectives", (identity["objective"],))),
            )
        spec = StudySpec(
            base=TrainConfig.from_dict(identity["base"]),
            scientific={field: tuple(levels) for field, levels in extent["scientific"].items()},
            nuisance={} if search else ranges,
            nuisance_points=extent["nuisance_points"],
            nuisance_base=extent.get("nuisance_base", False),
            seeds=extent["seeds"],
            search=search,
            budgets={budget: Budget()},
            seed=identity["study_seed"],
        )
    except ValueError as error:
        raise StoreError(
            f"ledger {ledger} cannot be read by this version ({str(error).rstrip('.')}); use the "
            "version that wrote it."
        ) from None
    plan = make_plan(name, kept["question"], spec, budget)
    plan = dataclasses.replace(plan, warm_start=kept_warm_start(extent))
    if identity["kind"] != "confirmation":
        return plan
    nothing = Confirmation(of=ledger.removesuffix(SUFFIX), uid=identity["confirms"], finalists=())
    return confirmation_plan(plan, nothing.grown(extent), extent["seeds"])


def _newest_name(storage: RDBStorage, plan: Plan) -> str | None:
    """Of the plan's ledgers; a confirmation has one for each revision of its search."""
    if plan.confirmation is None:
        revision = _revisions(storage, plan)
        return ledger_name(plan, revision) if revision else None
    there = {study.study_name for study in storage.get_all_studies()}
    return plan.confirmation.name if plan.confirmation.name in there else None


def _next_name(storage: RDBStorage, plan: Plan) -> str:
    if plan.confirmation is not None:
        return plan.confirmation.name
    return ledger_name(plan, _revisions(storage, plan) + 1)


def _revisions(storage: RDBStorage, plan: Plan) -> int:
    """How many there are."""
    name = re.compile(re.escape(f"{plan.name}/{plan.budget}/r") + r"\d+")
    return sum(bool(name.fullmatch(study.study_name)) for study in storage.get_all_studies())


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
        LAST_DESCRIBED: plan.extent(),
    }
    there = study.user_attrs  # some, if its maker died here
    for key, value in kept.items():
        if key not in there:
            study.set_user_attr(key, value)
            sys.audit("fashion_hpo.write", "ledger described")


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
            "or start a new revision with --revise."
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
