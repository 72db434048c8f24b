"""`StudyResult`: what a study came to; `load`: that of a study which was run before."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from fashion_hpo.analysis import answers, records
from fashion_hpo.analysis.checks import every
from fashion_hpo.analysis.checks.check import Check
from fashion_hpo.analysis.records import Records
from fashion_hpo.analysis.statistics import verdicts
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.sentences import quoted
from fashion_hpo.design.spec import StudySpec, check_name
from fashion_hpo.design.study_file import list_studies
from fashion_hpo.registering.winner import winner
from fashion_hpo.running import confirmation
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import all_ledgers, confirmation_of
from fashion_hpo.stores.reading import store_to_read

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class StudyResult:
    """The results of one study under one budget, as they were when it was made.

    name: the ledger's, STUDY/BUDGET/REVISION.
    best_config: of the config with the best mean over its seeds, the median trial's; None before a
    trial is complete.
    report: the page; None if none was written yet.
    remaining: the number of trials to go.
    """

    name: str
    best_config: TrainConfig | None
    report: Path | None
    remaining: int
    records: Records

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial: outcome, value, every config field, every summary."""
        return self.records.trials

    @property
    def epochs(self) -> pd.DataFrame:
        """A row for each epoch of each trial: losses, accuracies, seconds, the varied fields;
        `learning_rate` is the epoch's, `config_learning_rate` the varied field."""
        return self.records.epochs

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """A verdict on each claim of the study."""
        return tuple(verdicts.judge(self.records))

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """What is doubtful about the study's tuning and training."""
        return tuple(every.check(self.records))

    @cached_property
    def answer(self) -> str:
        """The study's answer, in sentences."""
        return "\n".join(answers.answer(self.records))

    @cached_property
    def figures(self) -> Mapping[str, "go.Figure"]:
        """The report's figures of the trials, by name."""
        from fashion_hpo.reporting.page.sections import sections

        shown = sections(self.records).values()
        return {name: figure for section in shown for name, figure in section.items()}

    def __repr__(self) -> str:
        """The name and the answer."""
        return f"{self.name}: {self.answer}"


def load(
    study: str | StudySpec,
    *,
    budget: str | None = None,
    store: Path | str = "mlruns",
    name: str = "untitled",
) -> StudyResult:
    """The result of a study that is in the store: a study's name, or the spec and name that `run`
    was given.

    Of the budget that is named, else of the largest complete budget, else of the largest.  A name
    without a study file has a result without verdicts: claims stand in the spec.  Raises ValueError
    if the store has no results of the study.
    """
    place = store_to_read(Path(store))
    if isinstance(study, StudySpec):
        spec = with_budgets(study, budget or "standard")
        ledger = records.look_up_ledger(place, check_name(name), "", spec, budget)
        return result_of(place, _present(ledger, name, place))
    if study in list_studies():
        return result_of(place, records.find_ledger(place, study, budget))
    return result_of(place, _present(_without_file(place, study, budget), study, place))


def with_budgets(spec: StudySpec, budget: str) -> StudySpec:
    """The spec; without budgets it gets the one that is asked for, which changes nothing."""
    from dataclasses import replace

    from fashion_hpo.design.spec import Budget

    return spec if spec.budgets else replace(spec, budgets={budget: Budget()})


def result_of(store: Store, ledger: Ledger) -> StudyResult:
    """A ledger's result."""
    confirming = confirmation_of(store, ledger)
    page = store.report(ledger.name) / "report.html"
    return StudyResult(
        name=ledger.name,
        best_config=_best_config(store, ledger),
        report=page if page.exists() else None,
        remaining=ledger.remaining() + (confirming.remaining() if confirming else 0),
        records=records.of_ledger(ledger, store, confirming),
    )


def _best_config(store: Store, ledger: Ledger) -> TrainConfig | None:
    try:
        deciding = confirmation.deciding(store, ledger)
    except ValueError:  # the finalists are not trained on fresh seeds yet
        deciding = ledger
    ranked = deciding.ranked()
    try:
        won = winner(deciding.entries(), deciding.plan.constraints)
    except ValueError:  # a classical classifier has no model
        return ranked[0].attempt.config
    return None if won is None else won.median.attempt.config


def _without_file(store: Store, name: str, budget: str | None) -> Ledger | None:
    """The newest revision under the named or the largest budget of a study without a file."""
    ledgers = [
        ledger
        for ledger in all_ledgers(store)
        if ledger.plan.name == name
        and ledger.plan.confirmation is None
        and budget in (None, ledger.plan.budget)
    ]
    return max(ledgers, key=_size, default=None)


def _size(ledger: Ledger) -> tuple[bool, int, int]:
    revision = int(ledger.name.rpartition("/r")[2])
    return ledger.remaining() == 0, BUDGETS.index(ledger.plan.budget), revision


def _present(ledger: Ledger | None, name: str, store: Store) -> Ledger:
    if ledger is None:
        raise ValueError(
            f"study {quoted(name, 80)} has no results in {store.root}; run it first, or name "
            "another store."
        )
    return ledger
