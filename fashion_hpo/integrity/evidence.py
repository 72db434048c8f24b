"""What ledger and mirror tell of each other at one moment.  Nothing is changed here."""

import fcntl
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.entities import LoggedModel, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.store.entities.paged_list import PagedList

from fashion_hpo.running.reconcile import DIED
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger, Result
from fashion_hpo.stores.tracking import TAG, Tracker, is_away

SET_ASIDE = "set aside"
MODEL = "model/"  # what the names of a model's files begin with in a result
FILES = "files/"  # and those of the other files

ByUid = dict[str, list[Any]]


@dataclass(frozen=True)
class Violation:
    """One thing that is not as it must be.

    `where` is a trial's or a ledger's uid, a point, an experiment, a version, or a path in the
    store; `mendable` says whether `mending` can put it right with what every store has.
    """

    invariant: str
    where: str
    what: str
    mendable: bool = True

    def __str__(self) -> str:
        return f"{self.invariant}: {self.where} {self.what}"


@dataclass(frozen=True)
class Evidence:
    """All trials of one ledger, the uids of those under way, and the mirror's runs and models.

    Runs and models are listed by their uid, without those that were set aside.  `deleted` are the
    uids of runs that a person has deleted in MLflow, which keeps them until `mlflow gc`.
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
        """The trials that must be in the mirror, with what they came to."""
        return [
            (entry, entry.result or DIED)
            for entry in self.entries
            if entry.attempt.uid not in self.alive and is_mirrored(entry)
        ]

    @property
    def at_rest(self) -> bool:
        """Whether nothing waits, runs or is still to be made."""
        own = [entry for entry in self.entries if entry.attempt.point]  # others enqueue trials too
        idle = all(entry.state not in ("WAITING", "RUNNING") for entry in own)
        return idle and self.ledger.remaining() == 0

    @property
    def study_run(self) -> str | None:
        """The id of the ledger's study run."""
        found = self.runs.get(self.ledger.uid)
        return str(found[0].info.run_id) if found else None

    def again(self, uid: str) -> "Evidence":
        """The same, with the runs and models of one trial as they are now."""
        runs = [run for run in runs_of(self.tracker, uid) if not _is_set_aside(run)]
        same = f"tags.`{TAG}.uid` = '{uid}'"
        search = self.tracker.client.search_logged_models
        models = list(pages(search, [self.tracker.experiment_id], filter_string=same))
        return replace(self, runs={**self.runs, uid: runs}, models={**self.models, uid: models})


def look(store: Store, ledger: Ledger, tracker: Tracker) -> Evidence:
    """Read both stores; not to be called under the store's lock "claim"."""
    with store.lock("claim"):  # otherwise a trial just claimed would seem dead
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
    """Whether a trial is under way, here or, by its lease, on another host."""
    if is_held(store, entry.attempt.uid):
        return True
    if entry.state != "RUNNING" or ledger.leases is None or entry.lease is None:
        return False
    return ledger.leases.is_foreign(entry.lease) and not ledger.leases.has_expired(entry.lease)


def is_held(store: Store, uid: str) -> bool:
    """Whether a process on this host holds a trial's lock."""
    try:
        with (store.trial_folder(uid) / "lock").open("rb") as file:  # in a read-only store too
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False  # the trial ended just now, or was never under way here


def is_final(entry: Entry) -> bool:
    """Whether a trial gave its point the terminal outcome."""
    return entry.result is not None and entry.result.final


def is_mirrored(entry: Entry) -> bool:
    """Whether MLflow has a run of this trial: it is closed, and was more than a claim."""
    if entry.state in ("WAITING", "RUNNING") or not entry.attempt.point:
        return False  # a proposal that died before it had a point has no run either
    return (entry.result or DIED).outcome != "duplicate"


def part(result: Result, prefix: str) -> dict[str, str]:
    """sha256 of a trial's files of one kind, MODEL or FILES, by their path in its folder."""
    return {
        name.removeprefix(prefix): sha256
        for name, sha256 in result.files.items()
        if name.startswith(prefix)
    }


def runs_of(tracker: Tracker, uid: str, view: int = ViewType.ACTIVE_ONLY) -> Iterator[Run]:
    """Every run whose uid begins so: those of a ledger, or of a trial, with those set aside."""
    begins = f"tags.`{TAG}.uid` LIKE '{uid}%'"
    where = [tracker.experiment_id]
    return pages(tracker.client.search_runs, where, filter_string=begins, run_view_type=view)


def pages(search: Callable[..., PagedList[Any]], *given: Any, **more: Any) -> Iterator[Any]:
    """All that a search of MLflow's client finds."""
    token = None
    while token != "":
        page = search(*given, **more, page_token=token)
        yield from page
        token = page.token or ""


@contextmanager
def local_artifacts(tracking_uri: str, address: str) -> Iterator[Path]:
    """Artifacts as a folder: where they are, if that is local; empty if there are none."""
    with TemporaryDirectory() as place:
        local = address.startswith(("/", "file:"))
        try:
            found = download_artifacts(
                artifact_uri=address, dst_path=None if local else place, tracking_uri=tracking_uri
            )
        except (MlflowException, OSError) as error:
            if not local and is_away(error):
                raise
            found = place
        yield Path(found)


def _mirrored(tracker: Tracker, ledger_uid: str) -> tuple[ByUid, ByUid]:
    runs, models = defaultdict(list), defaultdict(list)
    for run in runs_of(tracker, ledger_uid):
        if not _is_set_aside(run):
            runs[run.data.tags[f"{TAG}.uid"]].append(run)
    for model in pages(tracker.client.search_logged_models, [tracker.experiment_id]):
        uid = str(model.tags.get(f"{TAG}.uid", ""))
        if uid.startswith(f"{ledger_uid}-") and not uid.endswith(f"-{model.model_id}"):
            models[uid].append(model)  # those set aside end so
    return dict(runs), dict(models)


def _is_set_aside(run: Run) -> bool:
    return bool(run.data.tags.get(f"{TAG}.outcome") == SET_ASIDE)
