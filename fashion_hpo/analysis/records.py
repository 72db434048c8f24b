"""A ledger as data frames: one row a trial, one row an epoch."""

import dataclasses
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from fashion_hpo.analysis.renamed import former_name, gone
from fashion_hpo.analysis.tuning import tuned
from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.design.config import Epoch
from fashion_hpo.design.constraints import is_feasible
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.sentences import study_command
from fashion_hpo.design.spec import StudySpec
from fashion_hpo.design.study_file import NoStudyError, load_study
from fashion_hpo.stores.kept import UnreadableLedgerError, readable
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import read_ledgers
from fashion_hpo.stores.predictions import HASHED_AS, PredictionFiles
from fashion_hpo.stores.promotion import superseded
from fashion_hpo.stores.ranking import Standing, best_first

TRIAL_COLUMNS = (
    "trial", "uid", "point", "outcome", "value", "reason", "seed_index", "epochs_done", "seconds",
    "device_name", "not_comparable",
)  # fmt: skip
EPOCH_FIELDS = tuple(field.name for field in dataclasses.fields(Epoch))


@dataclass(frozen=True)
class Records:
    """The results of one ledger.

    trials: a row for each point that has an outcome, of a pruned point that was trained to
    completion the last outcome.  Columns: trial, uid, point, outcome, value, seconds, seed_index,
    feasible (if the search has constraints), every config field, and every summary
    (generalization_gap, ece, …).
    epochs: a row for each epoch of these trials.  Columns: trial, epoch, the epoch metrics,
    seed_index and the varied fields; see `epoch_column`.
    """

    plan: Plan
    ledger_name: str
    ledger_uid: str
    data_hash: str
    trials: pd.DataFrame
    epochs: pd.DataFrame
    remaining: int
    predictions: PredictionFiles | None = None  # None without a store
    confirmation: "Records | None" = None  # a search's finalists on fresh seeds
    info: DataInfo = FASHION_MNIST

    @property
    def varied(self) -> list[str]:
        """The fields that differ between points: scientific first, then sampled."""
        return list(dict.fromkeys([*self.plan.scientific, *self.plan.ranges]))

    @property
    def complete(self) -> pd.DataFrame:
        """The complete trials that were trained exactly as their config says."""
        return self.trials[(self.trials["outcome"] == "complete") & ~self._another_experiment]

    @property
    def feasible(self) -> pd.DataFrame:
        """The complete trials that satisfy the search's constraints; all if there are none."""
        complete = self.complete
        if "feasible" not in complete:
            return complete
        return complete[complete["feasible"].astype(bool)]

    @property
    def ranked(self) -> pd.DataFrame:
        """The complete, comparable and feasible trials, best first."""
        bounds = self.trials.get("feasible", pd.Series(True, index=self.trials.index))
        standings = [
            Standing(outcome == "complete", not other, bool(feasible), value)
            for outcome, other, feasible, value in zip(
                self.trials["outcome"],
                self._another_experiment,
                bounds,
                pd.to_numeric(self.trials["value"]),
                strict=True,
            )
        ]
        return self.trials.iloc[best_first(standings)]

    @property
    def infeasible(self) -> int:
        """The number of complete trials that violate the search's constraints."""
        return len(self.complete) - len(self.feasible)

    @cached_property
    def tuned(self) -> pd.DataFrame:
        """The complete trials that are compared: each level at its best nuisance values."""
        return tuned(self.complete, list(self.plan.scientific), list(self.plan.spec.nuisance))

    @property
    def untuned(self) -> pd.DataFrame:
        """The complete trials at the nuisance values of the base config."""
        base, complete = self.plan.base, self.complete
        is_base = pd.Series(True, index=complete.index)
        for name in self.plan.spec.nuisance:
            is_base &= complete[name] == getattr(base, name)
        return complete[is_base]

    @property
    def not_comparable(self) -> int:
        """The number of complete trials that differ from their config: memory was short."""
        ended = self.trials["outcome"] == "complete"
        return int((ended & self._another_experiment).sum())

    @property
    def _another_experiment(self) -> "pd.Series[bool]":
        if "not_comparable" not in self.trials:
            return pd.Series(False, index=self.trials.index)
        return self.trials["not_comparable"].fillna("").ne("")


def trial_columns(plan: Plan) -> list[str]:
    """The columns of `Records.trials` before the summaries, also if there are no rows."""
    bounded = ["feasible"] if plan.constraints else []
    last = [f"last_{name}" for name in EPOCH_FIELDS]
    return [*TRIAL_COLUMNS, *bounded, *plan.base.to_dict(), *last]


def epoch_columns(plan: Plan) -> list[str]:
    """The columns of `Records.epochs`, also if there are no rows."""
    varied = map(epoch_column, dict.fromkeys([*plan.scientific, *plan.ranges]))
    return ["trial", "seed_index", *varied, *EPOCH_FIELDS]


def epoch_column(field: str) -> str:
    """The column of `Records.epochs` with the value of a varied field.

    `learning_rate` is the rate of the epoch's last step, as in MLflow; the field of this name is
    `config_learning_rate`.
    """
    return f"config_{field}" if field in EPOCH_FIELDS else field


def find_ledger(store: Store, name: str, budget: str | None = None) -> Ledger:
    """The ledger of the budget named, else of the largest complete budget, else of the largest.

    Raises ValueError if the store has no results of the study, or if such a ledger cannot be read.
    """
    try:
        question, spec = load_study(name)
    except NoStudyError as error:
        raise ValueError(gone(store, name) or str(error)) from None
    try:
        ledger = look_up_ledger(store, name, question, spec, budget)
    except UnreadableLedgerError as error:
        if budget:
            raise
        raise ValueError(
            f"ledger {error.name} cannot be read by this version ({error.reason}); name another "
            "budget with --budget, or use the version that wrote it."
        ) from None
    if ledger is None:
        wanted = f"study {name} under budget {budget}" if budget else f"study {name}"
        raise ValueError(
            f"{wanted} has no results in {store.root}; run {command_for(name, spec, budget)} "
            "first, or name another --store."
            + "".join(f" Or: {said}" for said in _former(store, name, question, spec))
        )
    return ledger


def _former(store: Store, name: str, question: str, spec: StudySpec) -> list[str]:
    """Says under which former name the store has results of a study, if any."""
    plans = (make_plan(name, question, spec, budget) for budget in spec.budgets)
    return [said for plan in plans if (said := former_name(store, plan))][:1]


def command_for(name: str, spec: StudySpec, budget: str | None) -> str:
    """The command that runs a study under a budget, or under its default budget."""
    bare = budget is None and "standard" in spec.budgets
    return study_command(name, None if bare else budget or next(iter(spec.budgets)))


def look_up_ledger(
    store: Store, name: str, question: str, spec: StudySpec, budget: str | None = None
) -> Ledger | None:
    """Like `find_ledger`, but returns None if the store has no results of the study."""
    budgets = [budget] if budget else [name for name in reversed(BUDGETS) if name in spec.budgets]
    plans = [make_plan(name, question, spec, budget) for budget in budgets]
    largest = None
    for ledger in read_ledgers(store, plans):  # opens none after a complete one
        if ledger.remaining() == 0:
            return ledger
        largest = largest or ledger
    return largest


def of_ledger(
    ledger: Ledger, store: Store | None = None, confirmation: Ledger | None = None
) -> Records:
    """A ledger's results as data frames, with those of a search's confirmation.

    With a store, the trials' predictions can be read as well.  Raises UnreadableLedgerError for
    trials or epochs of another form than this version writes.
    """
    with readable(ledger.name, ledger.uid):
        return _of_ledger(ledger, store, confirmation)


def _of_ledger(ledger: Ledger, store: Store | None, confirmation: Ledger | None) -> Records:
    trials, epochs, logits = [], [], {}
    entries, bounds = ledger.entries(), ledger.plan.constraints
    left_out = superseded(entries)
    for entry in entries:
        attempt, result = entry.attempt, entry.result
        if result is None or not result.final or attempt.number in left_out:
            continue
        config = attempt.config.to_dict()
        fields = [*ledger.plan.scientific, *ledger.plan.ranges]
        varied = {epoch_column(name): config[name] for name in fields}
        if (written := result.files.get(HASHED_AS)) is not None:
            logits[attempt.uid] = written
        trials.append(
            {
                "trial": attempt.number,
                "uid": attempt.uid,
                "point": attempt.point,
                "outcome": result.outcome,
                "value": result.value,
                "reason": result.reason,
                "seed_index": attempt.seed_index,
                "epochs_done": len(result.history),
                "seconds": sum(epoch["seconds"] for epoch in result.history),
                "device_name": result.hardware.get("device_name", ""),
                "not_comparable": result.hardware.get("not_comparable", ""),
                **({"feasible": is_feasible(bounds, result.summaries)} if bounds else {}),
                **config,
                **result.summaries,
                **{
                    f"last_{k}": v
                    for k, v in (result.history[-1] if result.history else {}).items()
                },
            }
        )
        epochs += [
            {"trial": attempt.number, "seed_index": attempt.seed_index, **varied, **epoch}
            for epoch in result.history
        ]
    return Records(
        plan=ledger.plan,
        ledger_name=ledger.name,
        ledger_uid=ledger.uid,
        data_hash=ledger.data_hash,
        trials=pd.DataFrame(trials, columns=None if trials else trial_columns(ledger.plan)),
        epochs=pd.DataFrame(epochs, columns=None if epochs else epoch_columns(ledger.plan)),
        remaining=ledger.remaining(),
        info=ledger.info,
        predictions=(
            PredictionFiles(store, ledger.plan.name, ledger.name, logits) if store else None
        ),
        confirmation=None if confirmation is None else of_ledger(confirmation, store),
    )
