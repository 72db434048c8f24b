"""The ledger: one Optuna study per (study, budget, revision), the truth about every trial.

A design's points wait in it as trials, in slices, because Optuna's queries slow down with many
waiting.  A trial's `result` attribute is the commit point: from then on it counts, whatever dies.
"""

import dataclasses
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import (
    Plan,
    Point,
    canonical_json,
    differences,
    digest,
    make_point,
    points,
    sampler_seed,
)
from fashion_hpo.stores.layout import Store, StoreError, without_password

SLICE = 50  # points that wait at a time
LOCK_WAIT_SECONDS = 60  # sqlite's default of 5 does not outlast a busy writer
CLOSED_WITHOUT_OUTCOME = ("died", "stopped")  # attempts whose point is to be tried again

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Attempt:
    """One claimed trial: a try at one point."""

    number: int
    uid: str
    point: str
    config: TrainConfig
    params: Mapping[str, Any]  # the sampled fields alone
    seed_index: int
    attempt: int  # 1 for the first try at the point


@dataclass(frozen=True)
class Result:
    """What an attempt came to: complete, pruned, diverged or failed; or died or stopped, after
    which its point is tried again."""

    outcome: str
    value: float | None = None
    reason: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)  # epochs, as dicts
    summaries: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)  # path in the trial's folder to sha256
    hardware: Mapping[str, str] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        """Whether the point has its terminal outcome."""
        return self.outcome not in CLOSED_WITHOUT_OUTCOME


@dataclass(frozen=True)
class Entry:
    """One trial as the ledger has it; `state` is Optuna's: WAITING, RUNNING, COMPLETE, …"""

    attempt: Attempt
    state: str
    result: Result | None


class Ledger:
    """Made by `open_ledger`; holds the plan as extended by what the ledger already knows."""

    def __init__(self, study: optuna.Study, storage: RDBStorage, plan: Plan) -> None:
        self.plan = plan
        self.name = study.study_name
        self.attributes: Mapping[str, Any] = study.user_attrs
        self._study = study
        self._storage = storage
        self._study_id = storage.get_study_id_from_name(study.study_name)

    @property
    def uid(self) -> str:
        """Names this ledger in other stores; its Optuna number would not survive a copy."""
        return str(self.attributes["uid"])

    @property
    def data_hash(self) -> str:
        """Of the data that all its trials were trained on."""
        return str(self.attributes["data_hash"])

    @property
    def threads(self) -> int:
        """Threads of every trial: sums in another order would round differently."""
        return int(self.attributes["threads"])

    def entries(self) -> list[Entry]:
        """Every trial, in order."""
        return [self._entry(trial) for trial in self._trials()]

    def claim(self) -> Attempt | None:
        """The next point to train; None if every point has an outcome or a holder.

        To be called under the store's lock "claim", with the trial's own lock taken before that is
        let go: a running trial without a held lock counts as dead.
        """
        if self.plan.search is None and not self._trials(TrialState.WAITING):
            self._enqueue_slice()
        for trial in self._trials(TrialState.WAITING):
            if self._storage.set_trial_state_values(self._id(trial.number), TrialState.RUNNING):
                return self._attempt(trial)
        return self._propose() if self.plan.search else None

    def requeue(self, attempt: Attempt) -> None:
        """Let the point of an attempt without outcome wait again, unless it does or ran already."""
        same = [t for t in self._trials() if t.user_attrs.get("point") == attempt.point]
        if all(_closed_without_outcome(trial) for trial in same):
            old = next(trial for trial in same if trial.number == attempt.number)
            self._add(attempt, old.params, old.distributions, len(same) + 1)

    def report(self, attempt: Attempt, epoch: int, value: float) -> bool:
        """Record an intermediate value; True if a search's pruner ends the trial here."""
        trial_id = self._id(attempt.number)
        self._storage.set_trial_intermediate_value(trial_id, epoch, value)
        if self.plan.search is None:
            return False
        return self._study.pruner.prune(self._study, self._storage.get_trial(trial_id))

    def commit(self, attempt: Attempt, result: Result) -> None:
        """The commit point."""
        self._storage.set_trial_user_attr(self._id(attempt.number), "result", vars(result))

    def tell(self, attempt: Attempt, result: Result) -> None:
        """Close the trial by its result; telling a closed trial again changes nothing."""
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED}
        state = states.get(result.outcome, TrialState.FAIL)
        value = result.value if state != TrialState.FAIL else None
        values = None if value is None else [value]
        try:
            self._storage.set_trial_state_values(self._id(attempt.number), state, values)
        except UpdateFinishedTrialError:
            return  # told before the process died

    def best(self) -> Entry | None:
        """The complete trial of the highest value, the first of equals."""
        done = [entry for entry in self.entries() if entry.state == "COMPLETE"]
        return max(done, key=lambda entry: (_value(entry), -entry.attempt.number), default=None)

    def remaining(self) -> int:
        """Points that still lack their terminal outcome."""
        done = {e.attempt.point for e in self.entries() if e.result and e.result.final}
        return max(0, self.plan.trials - len(done))

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _enqueue_slice(self) -> None:
        known = {trial.user_attrs["point"] for trial in self._trials()}
        missing = [point for point in points(self.plan) if point.id not in known]
        for point in missing[:SLICE]:
            self._add(point, point.params, self.plan.ranges, 1)

    def _add(
        self,
        point: Point | Attempt,
        params: Mapping[str, Any],
        ranges: Mapping[str, BaseDistribution],
        attempt: int,
    ) -> None:
        name = point.id if isinstance(point, Point) else point.point
        waiting = create_trial(
            state=TrialState.WAITING,
            params=dict(params),
            distributions=dict(ranges),
            user_attrs=_attributes(name, point.config, point.seed_index, attempt),
        )
        self._study.add_trial(waiting)

    def _propose(self) -> Attempt | None:
        """Let the sampler choose a point, all values at once; None once it has had its trials."""
        trials = self._trials()
        assert self.plan.search is not None
        if sum(not _closed_without_outcome(trial) for trial in trials) >= self.plan.search.trials:
            return None
        asked = self._study.ask(dict(self.plan.search.space))
        point = make_point(self.plan, asked.params, asked.params)
        for name, value in _attributes(point.id, point.config, 0, 1).items():
            asked.set_user_attr(name, value)
        return self._attempt(self._storage.get_trial(self._id(asked.number)))

    def _attempt(self, trial: FrozenTrial) -> Attempt:
        kept = trial.user_attrs
        return Attempt(
            number=trial.number,
            uid=f"{self.uid}-{trial.number:05d}",
            point=kept.get("point", ""),
            config=TrainConfig.from_dict(kept.get("config", {})),
            params=dict(trial.params),
            seed_index=kept.get("seed_index", 0),
            attempt=kept.get("attempt", 1),
        )

    def _entry(self, trial: FrozenTrial) -> Entry:
        kept = trial.user_attrs.get("result")
        return Entry(self._attempt(trial), trial.state.name, Result(**kept) if kept else None)


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


def _attributes(point: str, config: TrainConfig, seed_index: int, attempt: int) -> dict[str, Any]:
    return {
        "point": point,
        "config": config.to_dict(),
        "seed_index": seed_index,
        "attempt": attempt,
    }


def _closed_without_outcome(trial: FrozenTrial) -> bool:
    result = trial.user_attrs.get("result") or {}
    return trial.state == TrialState.FAIL and result.get("outcome") in (
        *CLOSED_WITHOUT_OUTCOME,
        None,
    )


def _value(entry: Entry) -> float:
    assert entry.result is not None
    assert entry.result.value is not None
    return entry.result.value
