"""Log a study to MLflow.  The ledger is the truth, so no failure of MLflow may cost a trial.

A trial waits for MLflow at most `BOUND_SECONDS` while it trains and `COMPLETION_SECONDS` at its
end, plus one unfinished call (ten seconds, see `stores`).  After that, or after a failed call, the
trial goes on without MLflow.  The mirror completes missing entries from the ledger when the trial
ends, when the study ends, or at the next start, as soon as MLflow answers again.
"""

import csv
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.classes import CLASSES
from fashion_hpo.design.config import Epoch
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.ports import TRAINING
from fashion_hpo.design.sentences import shortened
from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.addresses import ui_address
from fashion_hpo.stores.layout import Store, without_password
from fashion_hpo.stores.ledger import Attempt, Ledger, Result
from fashion_hpo.stores.model_files import hashes_in
from fashion_hpo.stores.schema import alone
from fashion_hpo.stores.tracking import Tracker, is_away, run_page
from fashion_hpo.training.devices import Hardware

BOUND_SECONDS = 20.0
COMPLETION_SECONDS = 60.0  # between two trials
DESCRIPTION = """**{}**

Each run at the top is the study under one budget: its description has the answer with the verdicts,
its artifact `report/report.html` all figures. The runs below it are the trials, one for each config
and seed.
"""
OF_MODELS = (
    "value", "model_val_accuracy", "model_val_loss", "ece", "brier_score", "generalization_gap",
    "parameters", "flops", "kept_epoch",
)  # fmt: skip
"""The measures of a trial that are its model's as well, in MLflow's page of models."""
MOST_CLASSES = 100  # with metrics of their own
LONGEST_CLASS = 200  # characters of a class's name in a metric's
REFUSED = r"[^\w.-]+"  # in a metric's name, or with a meaning there
STATUSES = {"complete": "FINISHED", "pruned": "FINISHED", "stopped": "KILLED", "died": "KILLED"}


@dataclass
class Mirror:
    """One process's mirror of one ledger; `away` is the reason if the last call failed."""

    store: Store
    ledger: Ledger
    tracker: Tracker
    away: str = ""
    _study_run: str = ""
    _artifact_uri: str = ""
    _runs: dict[str, str] = field(default_factory=dict)  # of the attempts under way, by uid
    _waited: float = 0.0

    def open_study_run(self, hardware: Hardware) -> None:
        """Create the study run and tag it with this hardware, unless tracking is away."""
        self._waited = 0.0
        self._bounded(lambda: self.tracker.set_tags(self.study_run(), hardware.describe()))

    def begin(self, attempt: Attempt, hardware: Hardware) -> None:
        """Create a claimed attempt's run, unless tracking is away."""
        self._waited = 0.0
        self._runs.pop(attempt.uid, None)
        self._bounded(lambda: self.tracker.set_aside(attempt.uid))
        self._bounded(lambda: self.tracker.set_tags(self._run(attempt), hardware.describe()))

    def log(self, attempt: Attempt, epochs: Iterable[Epoch]) -> None:
        """Add epochs to an attempt's curves, unless tracking is away."""
        self._bounded(lambda: self.tracker.log_epochs(self._run(attempt), epochs))

    def complete(self, attempt: Attempt, result: Result, *, bounded: bool = True) -> bool:
        """Complete an attempt's run from its result, then remove the local files.

        Returns False, and keeps the files for the next try, if tracking is away or, with `bounded`,
        takes longer than `COMPLETION_SECONDS`.  May be repeated.
        """
        deadline = time.monotonic() + COMPLETION_SECONDS if bounded else None
        try:
            for step in self._steps(attempt, result):
                step()
                if deadline is not None and time.monotonic() > deadline:
                    raise TimeoutError(f"tracking took more than {COMPLETION_SECONDS:.0f} s")
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self.note(error)
            return False
        self.away = ""
        self._runs.pop(attempt.uid, None)
        if result.outcome == "complete":
            self.store.checkpoint(self.ledger.uid, attempt.point).unlink(missing_ok=True)
            wrote("checkpoint removed")
        self.store.remove_trial_files(attempt.uid)  # last: while the files exist, all is repeated
        wrote("trial files removed")
        return True

    def publish(self, folder: Path | None, tags: Mapping[str, str], *, finished: bool) -> bool:
        """Log the report, if any, and end the study run; False if tracking is away.

        While points are left, the run's status is SCHEDULED.
        """
        try:
            run = self.study_run()
            if folder is not None:
                self.tracker.log_files(run, folder, "report")
            self.tracker.set_tags(run, tags)
            self.tracker.set_status(run, "FINISHED" if finished else "SCHEDULED")
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self.note(error)
            return False
        return True

    def trial_pages(self) -> dict[str, str] | None:
        """The pages of the trials' runs in MLflow's UI, by uid; None if tracking is away."""
        try:
            runs = self.tracker.trial_runs(self.study_run())
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self.note(error)
            return None
        self.away = ""
        address, experiment = ui_address(self.tracker.uri), self.tracker.experiment_id
        return {
            uid: f"{address}/{run_page(experiment, run)}?{TRAINING}" for uid, run in runs.items()
        }

    def headline(self, note: str, metrics: Mapping[str, float]) -> bool:
        """Put the answer into the study run's note and metrics; False if tracking is away.

        A note that a person wrote stays.
        """
        ended = [
            e.result.history[-1] for e in self.ledger.entries() if e.result and e.result.history
        ]
        latest = max((int(epoch["timestamp"]) for epoch in ended), default=0)
        try:
            run = self.study_run()
            self.tracker.log_summaries(run, metrics, len(ended), latest)
            self.tracker.set_note(run, note, self.ledger.plan.question)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self.note(error)
            return False
        return True

    def tag_trials(self, tags: Mapping[str, Mapping[str, str]]) -> bool:
        """Tag the runs of trials; `tags` by uid; False if tracking is away."""
        try:
            for uid, run_tags in tags.items():
                if (run := self.tracker.run_of(uid)) is not None:
                    self.tracker.set_tags(run, run_tags)
        except (MlflowException, SQLAlchemyError, OSError) as error:
            self.note(error)
            return False
        return True

    def study_run(self) -> str:
        """The id of the ledger's study run; the first call sets RUNNING if points are left.

        An ended run stays ended: MLflow would move its end time if it were ended again.
        """
        if not self._study_run:
            ledger = self.ledger
            tags = {"budget": ledger.plan.budget, "data_hash": ledger.data_hash}
            # Without a lock two processes, on one or two hosts, would each create the run.
            with self.store.lock("study-run"), alone(self.store.ledger_url, "study run"):
                run = self.tracker.study_run(ledger.name, ledger.uid, ledger.attributes, tags)
            self.tracker.describe(DESCRIPTION.format(ledger.plan.question))
            if ledger.remaining():
                self.tracker.set_status(run, "RUNNING")
            self._study_run = run
        return self._study_run

    def artifact_uri(self) -> str:
        """The address of the study run's artifacts; raises MLflow's errors."""
        if not self._artifact_uri:
            run = self.tracker.client.get_run(self.study_run())
            self._artifact_uri = str(run.info.artifact_uri)
        return self._artifact_uri

    def _run(self, attempt: Attempt) -> str:
        """The id of the attempt's run, looked up by uid before it is created."""
        if attempt.uid not in self._runs:
            self._runs[attempt.uid] = self.tracker.trial_run(
                attempt.uid,
                self.study_run(),
                name=run_name(self.ledger, attempt),
                params=attempt.config.to_dict(),
                tags={
                    "point": attempt.point,
                    "attempt": str(attempt.attempt),
                    "seed_index": str(attempt.seed_index),
                    "ledger": self.ledger.name,
                },
                data_hash=self.ledger.data_hash,
                info=self.ledger.info,
            )
        return self._runs[attempt.uid]

    def _steps(self, attempt: Attempt, result: Result) -> Iterator[Callable[[], object]]:
        """The calls that complete a run, in order."""
        tracker, summaries = self.tracker, dict(result.summaries)
        history = [Epoch(**values) for values in result.history]
        folder = self.store.trial_folder(attempt.uid)
        self._runs.pop(attempt.uid, None)  # look the run up again and complete it
        yield lambda: self._run(attempt)
        run_id = self._run(attempt)
        yield lambda: tracker.log_epochs(run_id, history)
        if history:
            if result.value is not None:
                summaries["value"] = result.value
            last = history[-1]
            scores = folder / "files" / "class_scores.csv"
            logged = {**summaries, **class_metrics(summaries, scores)}
            yield lambda: tracker.log_summaries(run_id, logged, last.epoch, last.timestamp)
        if result.files and folder.is_dir():  # a failed trial has no result files
            epoch = int(summaries["kept_epoch"])
            yield lambda: tracker.log_files(run_id, folder / "files")
            if hashes_in(result.files):  # not every trial keeps its model
                name = f"{self.ledger.plan.name} {run_name(self.ledger, attempt)}"
                yield lambda: tracker.log_model(run_id, attempt.uid, folder / "model", epoch, name)
        if (model := tracker.model_of(attempt.uid)) is not None and history:
            measured = {name: summaries[name] for name in OF_MODELS if name in summaries}
            yield lambda: tracker.log_model_metrics(
                run_id, model, measured, last.epoch, last.timestamp
            )
        end = {"outcome": result.outcome, "reason": result.reason, "traceback": result.traceback}
        tags = {name: text for name, text in end.items() if text} | dict(result.hardware)
        yield lambda: tracker.end_run(run_id, STATUSES.get(result.outcome, "FAILED"), tags)

    def _bounded(self, call: Callable[[], object]) -> None:
        """Make a call unless the trial has waited `BOUND_SECONDS`; a failure ends all waiting."""
        if self._waited >= BOUND_SECONDS:
            return
        began = time.monotonic()
        try:
            call()
        except (MlflowException, SQLAlchemyError, OSError) as error:
            # Refusals too: a person may have deleted the run, which `complete` creates again.
            self.away = _one_line(error)
            self._waited = BOUND_SECONDS
        self._waited += time.monotonic() - began

    def note(self, error: Exception) -> None:
        """Remember why tracking is away; raises the error if it is a refusal."""
        if not is_away(error):
            raise error
        self.away = _one_line(error)


def log_page(store: Store, name: str, folder: Path, tags: Mapping[str, str]) -> str:
    """Log a page without a ledger to the single run of the experiment `name`.

    May be repeated.  Returns why tracking is away; "" after success.
    """
    try:
        tracker = Tracker(store, name)
        run = tracker.page_run(name)
        tracker.log_files(run, folder, "report")
        tracker.end_run(run, "FINISHED", tags)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        if not is_away(error):
            raise
        return _one_line(error)
    return ""


def _one_line(error: Exception) -> str:
    return shortened(without_password(str(error)), 300)


def class_metrics(summaries: Mapping[str, float], scores: Path) -> dict[str, float]:
    """The recall of each class by the class's name, in a section of its own in MLflow's UI.

    scores: the trial's table of classes, read for a data set whose recalls are no summaries.  Of
    many classes there are no metrics: the table has them.
    """
    recalls = {
        name: summaries[f"recall_{label}"]
        for label, name in enumerate(CLASSES)
        if f"recall_{label}" in summaries
    }
    if not recalls and scores.exists():
        with scores.open(newline="", encoding="utf-8") as file:
            recalls = {row["class"]: float(row["recall"]) for row in csv.DictReader(file)}
    if len(recalls) > MOST_CLASSES:
        return {}
    return {
        f"class/{re.sub(REFUSED, '_', name)[:LONGEST_CLASS]}_recall": recall
        for name, recall in recalls.items()
    }


def run_name(ledger: Ledger, attempt: Attempt) -> str:
    """A run's name: the fields that vary and the seed, such as `dropout=0.25 seed 0`."""
    names = [*ledger.plan.scientific, *attempt.params]
    varied = " ".join(
        f"{name}={level_text(getattr(attempt.config, name))}" for name in dict.fromkeys(names)
    )
    return f"{varied} seed {attempt.seed_index}"
