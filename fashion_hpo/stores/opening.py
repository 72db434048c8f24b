"""Open a ledger: make it, or verify that it holds the same spec and extend it."""

import dataclasses
import json
import uuid
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan, canonical_json, differences, digest, sampler_seed
from fashion_hpo.stores.layout import Store, StoreError, without_password
from fashion_hpo.stores.ledger import Ledger

LOCK_WAIT_SECONDS = 60  # sqlite's default of 5 does not outlast a busy writer

optuna.logging.set_verbosity(optuna.logging.WARNING)


def open_ledger(
    store: Store,
    plan: Plan,
    data_hash: str,
    *,
    threads: int,
    revise: bool = False,
    worker: int = 0,
) -> Ledger:
    """Create the plan's ledger, or verify and extend the one there is.

    Raises StoreError if a ledger of another spec or other data is there, naming the differences.
    """
    with store.lock("databases"):  # first use of a fresh database by two processes crashes
        storage = connect(store)
        revision = len(_revisions(storage, plan.name, plan.budget))
        if revision == 0 or revise:
            _create(storage, ledger_name(plan, revision + 1), plan, data_hash, threads)
            revision += 1
        study = _load(storage, ledger_name(plan, revision), plan, worker)
        plan = _extended(study, plan, data_hash)
    return Ledger(study, storage, plan)


def read_ledger(store: Store, plan: Plan) -> Ledger | None:
    """The newest ledger of a plan's study and budget, to be read; None if there is none.

    A store without a database is left without one.
    """
    if not store.has_ledgers:
        return None
    with store.lock("databases"):
        storage = connect(store)
    revision = len(_revisions(storage, plan.name, plan.budget))
    if revision == 0:
        return None
    study = _load(storage, ledger_name(plan, revision), plan, 0)
    kept = study.user_attrs  # its own base config, which --set may have changed
    base = TrainConfig.from_dict(_parsed(kept["identity"])["base"])
    plan = dataclasses.replace(_grown(plan, kept["extent"]), base=base)
    return Ledger(study, storage, plan)


def ledger_name(plan: Plan, revision: int) -> str:
    """Optuna's name of it."""
    return f"{plan.name}/{plan.budget}/r{revision}"


def connect(store: Store) -> RDBStorage:
    """Open Optuna's database; raises StoreError, without the password, where that fails."""
    url = store.ledger_url
    local = url.startswith("sqlite")
    arguments: dict[str, Any] = {"pool_pre_ping": True}
    if local:
        arguments = {"connect_args": {"timeout": LOCK_WAIT_SECONDS}}
    try:
        storage = RDBStorage(url, engine_kwargs=arguments)
        if local:
            with storage.engine.connect() as connection:
                connection.execute(text("PRAGMA journal_mode=WAL"))
    except (SQLAlchemyError, StorageInternalError, RuntimeError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise StoreError(
            f"storage {without_password(url)} cannot be opened ({without_password(reason)}); "
            "correct --storage or move the file away."
        ) from None
    return storage


def _revisions(storage: RDBStorage, name: str, budget: str) -> list[str]:
    studies = (study.study_name for study in storage.get_all_studies())
    return [study for study in studies if study.startswith(f"{name}/{budget}/r")]


def _create(storage: RDBStorage, name: str, plan: Plan, data_hash: str, threads: int) -> None:
    study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
    identity = plan.identity()
    kept = {
        "uid": uuid.uuid4().hex[:12],
        "identity": canonical_json(identity),
        "spec_hash": digest(identity),
        "question": plan.question,
        "data_hash": data_hash,
        "threads": threads,
        "extent": plan.extent(),
    }
    for key, value in kept.items():
        study.set_user_attr(key, value)


def _load(storage: RDBStorage, name: str, plan: Plan, worker: int) -> optuna.Study:
    study = optuna.load_study(study_name=name, storage=storage)
    if plan.search is not None:
        seed = sampler_seed(plan.spec.seed, worker, len(study.get_trials(deepcopy=False)))
        study.sampler = _sampler(plan.search.sampler, seed)
        study.pruner = _pruner(plan.search.pruner, plan.base.epochs)
    return study


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(name: str, epochs: int) -> optuna.pruners.BasePruner:
    if name == "hyperband":
        return optuna.pruners.HyperbandPruner(max_resource=epochs, reduction_factor=3)
    if name == "successive_halving":
        return optuna.pruners.SuccessiveHalvingPruner()
    return optuna.pruners.MedianPruner() if name == "median" else optuna.pruners.NopPruner()


def _extended(study: optuna.Study, plan: Plan, data_hash: str) -> Plan:
    """The plan with all that the ledger holds as well; refused if it is not the same spec."""
    kept = study.user_attrs
    found = differences(_parsed(kept["identity"]), _parsed(canonical_json(plan.identity())))
    if kept["data_hash"] != data_hash:
        found.append(f"data: {kept['data_hash'][:12]}… → {data_hash[:12]}…")
    for name, old in kept["extent"]["scientific"].items():
        if lost := [value for value in old if value not in plan.scientific.get(name, ())]:
            found.append(f"scientific.{name}: {lost} left out")
    if found:
        raise StoreError(
            f"ledger {study.study_name} holds another spec ({'; '.join(found)}); undo the change, "
            "or start a new revision with --revise."
        )
    plan = _grown(plan, kept["extent"])
    if plan.extent() != kept["extent"]:
        study.set_user_attr("extent", plan.extent())
    return plan


def _grown(plan: Plan, kept: Mapping[str, Any]) -> Plan:
    """The plan, no smaller than what the ledger was extended to before."""
    search = plan.search
    if search is not None:
        search = dataclasses.replace(search, trials=max(search.trials, kept["trials"]))
    levels = {
        name: tuple(dict.fromkeys((*values, *kept["scientific"].get(name, ()))))
        for name, values in plan.scientific.items()
    }
    return dataclasses.replace(
        plan,
        search=search,
        scientific=levels,
        seeds=max(plan.seeds, kept["seeds"]),
        nuisance_points=max(plan.nuisance_points, kept["nuisance_points"]),
    )


def _parsed(canonical: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(canonical)
    return value
