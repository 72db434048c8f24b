"""Read a ledger and its mirror at one moment, without changing them."""

import fcntl
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, Run, ViewType
from mlflow.exceptions import MlflowException

from fashion_hpo.running.reconcile import DIED
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger, Result
from fashion_hpo.stores.paging import pages
from fashion_hpo.stores.tracking import TAG, Tracker, is_away

SET_ASIDE = "set aside"
MODEL = "model/"  # prefix of the model's files in a result
FILES = "files/"  # prefix of the other files

ByUid = dict[str, list[Any]]


@dataclass(frozen=True)
class Violation:
    """One violation of an invariant.

    `where` is the uid of a trial or ledger, a point, an experiment, a version, or a path in the
    store; `mendable` says whether `mending` can mend it from the store alone.
    """

    invariant: str
    where: str
    what: str
    mendable: bool = True

    def __str__(self) -> str:
        return f"{self.invariant}: {self.where} {self.what}"


@dataclass(frozen=True)
class Evidence:
    """All trials of one ledger, the uids of running trials, and the mirror's runs and models.

    Runs and models are listed by uid, without those set aside.  `deleted` are the uids of runs that
    were deleted in MLflow, which keeps them until `mlflow gc`.
    """

    store: Store
    ledger: Ledger
    tracker: Tracker
    entries: list[Entry]
    alive: set[str]
    runs: dict[str, list[Run]]
    models: dict[str, list[LoggedModel]]
    deleted: set[str]

    @property
    def closed(self) -> list[tuple[Entry, Result]]:
        """The trials that must be in the mirror, with their results."""
        return [
            (entry, entry.result or DIED)
            for entry in self.entries
            if entry.attempt.uid not in self.alive and is_mirrored(entry)
        ]

    @property
    def at_rest(self) -> bool:
        """Whether no point waits, runs or lacks an outcome."""
        trials = [entry for entry in self.entries if entry.attempt.point]  # not other programs'
        idle = all(entry.state not in ("WAITING", "RUNNING") for entry in trials)
        return idle and self.ledger.remaining() == 0

    @property
    def study_run(self) -> str | None:
        """The id of the ledger's study run."""
        runs = self.runs.get(self.ledger.uid)
        return str(runs[0].info.run_id) if runs else None

    def again(self, uid: str) -> "Evidence":
        """The same evidence, with the present runs and models of one trial."""
        runs = [run for run in runs_of(self.tracker, uid) if not _is_set_aside(run)]
        same = f"tags.`{TAG}.uid` = '{uid}'"
        search = self.tracker.client.search_logged_models
        models = list(pages(search, [self.tracker.experiment_id], filter_string=same))
        return replace(self, runs={**self.runs, uid: runs}, models={**self.models, uid: models})


def look(store: Store, ledger: Ledger, tracker: Tracker) -> Evidence:
    """Read both stores; takes the store's lock "claim"."""
    with store.lock("claim"):  # a trial just claimed has no lock yet and would seem dead
        entries = ledger.entries()
        alive = {entry.attempt.uid for entry in entries if is_alive(store, ledger, entry)}
    deleted = {
        run.data.tags[f"{TAG}.uid"]
        for run in runs_of(tracker, ledger.uid, ViewType.DELETED_ONLY)
        if not _is_set_aside(run)
    }
    mirrored = _mirrored(tracker, ledger.uid)
    return Evidence(store, ledger, tracker, entries, alive, *mirrored, deleted)


def is_alive(store: Store, ledger: Ledger, entry: Entry) -> bool:
    """Whether a trial is running, here or, by its lease, on another host."""
    if is_held(store, entry.attempt.uid):
        return True
    if entry.state != "RUNNING" or ledger.leases is None or entry.lease is None:
        return False
    return ledger.leases.is_foreign(entry.lease) and not ledger.leases.has_expired(entry.lease)


def is_held(store: Store, uid: str) -> bool:
    """Whether a process on this host holds a trial's lock."""
    try:
        with (store.trial_folder(uid) / "lock").open("rb") as file:  # works in a read-only store
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False  # the trial has just ended, or never ran here


def is_final(entry: Entry) -> bool:
    """Whether a trial has a terminal outcome."""
    return entry.result is not None and entry.result.final


def is_mirrored(entry: Entry) -> bool:
    """Whether MLflow must have a run of this trial: a closed trial with a point."""
    if entry.state in ("WAITING", "RUNNING") or not entry.attempt.point:
        return False  # a proposal without a point has no run
    return (entry.result or DIED).outcome != "duplicate"


def part(result: Result, prefix: str) -> dict[str, str]:
    """sha256 of a trial's files with one prefix, MODEL or FILES, by their path below it."""
    return {
        name.removeprefix(prefix): sha256
        for name, sha256 in result.files.items()
        if name.startswith(prefix)
    }


def runs_of(tracker: Tracker, uid: str, view: int = ViewType.ACTIVE_ONLY) -> Iterator[Run]:
    """Every run whose uid starts with `uid`: of a ledger or a trial, with those set aside."""
    prefix = f"tags.`{TAG}.uid` LIKE '{uid}%'"
    experiments = [tracker.experiment_id]
    return pages(tracker.client.search_runs, experiments, filter_string=prefix, run_view_type=view)


@contextmanager
def local_artifacts(tracking_uri: str, address: str) -> Iterator[Path]:
    """Artifacts as a folder, in place if they are local; an empty folder if there are none."""
    with TemporaryDirectory() as temporary:
        local = address.startswith(("/", "file:"))
        try:
            folder = download_artifacts(
                artifact_uri=address,
                dst_path=None if local else temporary,
                tracking_uri=tracking_uri,
            )
        except (MlflowException, OSError) as error:
            # A server answers 404 for a run without files: MLflow reports a failed download.
            if not local and is_away(error) and "404 Client Error" not in str(error):
                raise
            folder = temporary
        yield Path(folder)


def _mirrored(tracker: Tracker, ledger_uid: str) -> tuple[ByUid, ByUid]:
    runs, models = defaultdict(list), defaultdict(list)
    for run in runs_of(tracker, ledger_uid):
        if not _is_set_aside(run):
            runs[run.data.tags[f"{TAG}.uid"]].append(run)
    for model in pages(tracker.client.search_logged_models, [tracker.experiment_id]):
        uid = str(model.tags.get(f"{TAG}.uid", ""))
        if uid.startswith(f"{ledger_uid}-") and not uid.endswith(f"-{model.model_id}"):
            models[uid].append(model)  # a model set aside has the other suffix
    return dict(runs), dict(models)


def _is_set_aside(run: Run) -> bool:
    return bool(run.data.tags.get(f"{TAG}.outcome") == SET_ASIDE)
