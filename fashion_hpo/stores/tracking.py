"""The mirror in MLflow: experiment, study run, trial runs and models.

All calls name their run; MLflow's active run is never used.  Every call may be repeated after a
kill or a lost reply: runs and models are looked up by uid before they are created, incomplete runs
and models are completed, and metrics carry the time of their measurement.
"""

import hashlib
import json
import os
import platform
import shlex
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.config import Epoch
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo
from fashion_hpo.design.ports import TRAINING
from fashion_hpo.design.sentences import shortened
from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.addresses import artifact_folder, artifact_location, is_server
from fashion_hpo.stores.experiments import STUDY, find_experiment, is_deleted
from fashion_hpo.stores.failures import is_disk_full
from fashion_hpo.stores.layout import (
    Store,
    StoreError,
    tags_without_passwords,
    without_password,
)
from fashion_hpo.stores.paging import pages
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.schema import prepare_tracking
from fashion_hpo.stores.versions import packages

TAG = "fashion_hpo"
RETRAINED = "retrain-"  # before the uid of the trial whose config was trained again
NOTE = "mlflow.note.content"
NOTE_DIGEST = f"{TAG}.note_sha256"
"""The tag by which a note of ours is told from a note that a person changed."""
KIND = {"mlflow.experimentKind": "custom_model_development"}
"""The tag by which MLflow's UI opens an experiment on training runs instead of GenAI traces."""
MODEL_NAME = str.maketrans({".": "·", "/": "-", ":": "=", "%": "", '"': "", "'": ""})
"""Replaces the characters that MLflow refuses in a model's name."""
LONGEST_NAME = 200  # characters of a model's name
OF_TRIAL = (
    "A trial of [this study]({0}?{1}); the report on all trials is its artifact "
    "[report.html]({0}/artifacts/report/report.html?{1})."
)
"""The note of a trial's run."""
REFUSALS = (400, 401, 403, 404, 409)
"""HTTP statuses of errors that a later retry does not resolve."""


class DeletedExperimentError(StoreError):
    """A person deleted a study's experiment in MLflow, and can restore it."""


class Tracker:
    """One study's experiment in MLflow.

    Raises StoreError if an embedded database cannot be opened.  A server is not called before the
    first use, because it may be away.
    """

    def __init__(self, store: Store, study: str) -> None:
        self.uri = store.tracking_uri
        self._store = store
        self._study = study
        with self._opening():
            prepare_tracking(store)
        relocate(store)
        with self._opening():
            self.client = MlflowClient(self.uri, self.uri)
        if not self.is_server:
            _ = self.experiment_id

    @property
    def is_server(self) -> bool:
        """Whether tracking is reached over the network."""
        return is_server(self.uri)

    @cached_property
    def experiment_id(self) -> str:
        """The experiment's id; the experiment is created at first use."""
        with self._opening():
            return _experiment(self.client, self._store, self._study)

    @contextmanager
    def _opening(self) -> Iterator[None]:
        """One process at a time: two that first use a fresh database crash."""
        with self._store.lock("databases"):
            try:
                yield
            except (MlflowException, SQLAlchemyError, sqlite3.Error) as error:
                if is_disk_full(error) or (self.is_server and is_away(error)):
                    raise
                reason = without_password(str(error).splitlines()[0])
                raise StoreError(
                    f"tracking store {without_password(self.uri)} cannot be opened ({reason}); "
                    "correct MLFLOW_TRACKING_URI or move the file away."
                ) from None

    def study_run(
        self, ledger: str, uid: str, spec: Mapping[str, Any], tags: Mapping[str, str]
    ) -> str:
        """The id of a ledger's study run, created at first use."""
        run = self._find(uid) or self.restore_run(uid)
        if run is None:
            prefixed = {f"{TAG}.{key}": value for key, value in tags.items()}
            prefixed |= {f"{TAG}.kind": "study", f"{TAG}.uid": uid, f"{TAG}.ledger": ledger}
            run = self._create_run(ledger, prefixed | _machine())
        run_id = str(run.info.run_id)
        if NOTE not in run.data.tags:  # written last
            self.client.log_dict(run_id, dict(spec), "spec.json")
            self.client.log_text(run_id, packages(), "packages.txt")
            self.client.log_text(run_id, git_diff(), "git.diff")
            self.client.set_tag(run_id, NOTE, str(spec["question"]))
            wrote("study run described")
        return run_id

    def page_run(self, uid: str) -> str:
        """The id of the run of a page without a ledger, created at first use."""
        run = self._find(uid)
        if run is None:
            run = self._create_run(uid, {f"{TAG}.kind": "page", f"{TAG}.uid": uid})
        return str(run.info.run_id)

    def trial_run(
        self,
        uid: str,
        study_run: str,
        name: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        data_hash: str,
        info: DataInfo = FASHION_MNIST,
    ) -> str:
        """The id of a trial's run, created at first use, nested under the study run."""
        run = self._find(uid)
        if run is None:
            prefixed = {f"{TAG}.{key}": value for key, value in tags.items()}
            prefixed |= {f"{TAG}.kind": "trial", f"{TAG}.uid": uid, "mlflow.parentRunId": study_run}
            prefixed[NOTE] = OF_TRIAL.format(run_page(self.experiment_id, study_run), TRAINING)
            run = self._create_run(name, prefixed)
        run_id = str(run.info.run_id)
        if not run.data.params:  # logged last
            self.client.log_inputs(run_id, [_dataset(data_hash, info)])
            wrote("inputs logged")
            entries = [Param(key, param_text(value)) for key, value in params.items()]
            self.client.log_batch(run_id, params=entries)
            wrote("params logged")
        return run_id

    def trial_runs(self, study_run: str) -> dict[str, str]:
        """The ids of the runs below a study run, by uid."""
        below = f"tags.`mlflow.parentRunId` = '{study_run}'"
        runs = pages(self.client.search_runs, [self.experiment_id], below, max_results=1000)
        return {run.data.tags.get(f"{TAG}.uid", ""): str(run.info.run_id) for run in runs}

    def restore_run(self, uid: str) -> Run | None:
        """Restore the run with this uid if a person deleted it; None if there is no such run."""
        deleted = self.client.search_runs(
            [self.experiment_id],
            filter_string=f"tags.`{TAG}.uid` = '{uid}'",
            run_view_type=ViewType.DELETED_ONLY,
            max_results=1,
        )
        for run in deleted:
            self.client.restore_run(run.info.run_id)
            wrote("run restored")
        return self._find(uid) if deleted else None

    def set_aside(self, uid: str) -> None:
        """Rename the uid of a run and a model that have this uid although its trial is new.

        Such a run belongs to a lost ledger: an older copy was restored, and gives the uid again.
        """
        if (run := self._find(uid)) is not None:
            run_id = str(run.info.run_id)
            self.end_run(run_id, "KILLED", {"uid": f"{uid}-{run_id}", "outcome": "set aside"})
        if (model := self._find_model(uid)) is not None:
            tags = {f"{TAG}.uid": f"{uid}-{model.model_id}"}
            self.client.set_logged_model_tags(str(model.model_id), tags)

    def log_epochs(self, run_id: str, epochs: Iterable[Epoch]) -> None:
        """Log each epoch's metrics; logging the same epochs again adds no point."""
        metrics = [
            Metric(name, value, epoch.timestamp, epoch.epoch)
            for epoch in epochs
            for name, value in epoch.metrics().items()
        ]
        for start in range(0, len(metrics), 1000):  # MLflow's limit for a batch
            self.client.log_batch(run_id, metrics[start : start + 1000])
            wrote("epochs logged")

    def log_summaries(self, run_id: str, values: Mapping[str, float], epoch: int, at: int) -> None:
        """Log summaries at the last epoch's step and time: a repetition adds no point."""
        metrics = [Metric(name, value, at, epoch) for name, value in values.items()]
        self.client.log_batch(run_id, metrics)
        wrote("summaries logged")

    def log_files(self, run_id: str, folder: Path, into: str | None = None) -> None:
        """Upload a folder's files; the same path again is overwritten."""
        # One by one: MLflow replaces a single file, but copies a folder onto existing files, whose
        # attributes a second user of the store may not change.
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            target = Path(into or "", path.relative_to(folder).parent).as_posix()
            self.client.log_artifact(run_id, str(path), None if target == "." else target)
        wrote("files uploaded")

    def log_model(self, run_id: str, uid: str, folder: Path, epoch: int, name: str) -> str:
        """Upload a model written by `write_model` as the run's output, once per uid."""
        model = self._find_model(uid)
        if model is None:
            model = self.client.create_logged_model(
                self.experiment_id,
                name=shortened(name, LONGEST_NAME).translate(MODEL_NAME),
                source_run_id=run_id,
                tags={f"{TAG}.uid": uid},
            )
            wrote("model created")
        model_id = str(model.model_id)
        if str(model.status) != "READY":
            if (partial := artifact_folder(str(model.artifact_location))) is not None:
                shutil.rmtree(partial, ignore_errors=True)  # left by a process that died
            self.client.log_model_artifacts(model_id, str(folder))
            wrote("model uploaded")
            self.client.finalize_logged_model(model_id, "READY")
            wrote("model finalized")
        outputs = self.client.get_run(run_id).outputs
        if outputs is None or model_id not in {o.model_id for o in outputs.model_outputs}:
            self.client.log_outputs(run_id, [LoggedModelOutput(model_id, epoch)])
            wrote("outputs logged")
        return model_id

    def log_model_metrics(
        self, run_id: str, model_id: str, values: Mapping[str, float], epoch: int, at: int
    ) -> None:
        """Log a model's metrics on the data set of its run: MLflow ranks models by them."""
        inputs = self.client.get_run(run_id).inputs
        for used in inputs.dataset_inputs[:1] if inputs else ():
            about = {"dataset_name": used.dataset.name, "dataset_digest": used.dataset.digest}
            metrics = [
                Metric(name, value, at, epoch, model_id=model_id, **about)
                for name, value in values.items()
            ]
            self.client.log_batch(run_id, metrics)
            wrote("model metrics logged")

    def end_run(self, run_id: str, status: str, tags: Mapping[str, str] | None = None) -> None:
        """End a run as FINISHED, FAILED or KILLED, with tags that say why."""
        self.set_tags(run_id, tags or {})
        wrote("run tagged")
        self._terminate(run_id, status)
        wrote("run ended")

    def set_status(self, run_id: str, status: str) -> None:
        """Set a run's status to RUNNING, SCHEDULED or FINISHED."""
        if status == "FINISHED":
            self._terminate(run_id, status)
        else:
            self.client.update_run(run_id, status)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags under the project's prefix, in one call."""
        entries = [RunTag(f"{TAG}.{key}", value[:8000]) for key, value in tags.items()]
        if entries:
            self.client.log_batch(run_id, tags=entries)

    def set_note(self, run_id: str, note: str, first: str) -> None:
        """Replace a run's note, unless a person changed it.

        `first` is the note that the run was created with.
        """
        tags = self.client.get_run(run_id).data.tags
        before = tags.get(NOTE, "")
        if before in (note, first) or _digest(before) == tags.get(NOTE_DIGEST):
            entries = [RunTag(NOTE, note), RunTag(NOTE_DIGEST, _digest(note))]
            self.client.log_batch(run_id, tags=entries)
            wrote("note set")

    def describe(self, note: str) -> None:
        """Set the experiment's description, unless a person changed it."""
        tags = self.client.get_experiment(self.experiment_id).tags
        before = tags.get(NOTE, "")
        if before != note and (not before or _digest(before) == tags.get(NOTE_DIGEST)):
            self.client.set_experiment_tag(self.experiment_id, NOTE, note)
            self.client.set_experiment_tag(self.experiment_id, NOTE_DIGEST, _digest(note))
            wrote("experiment described")

    def model_of(self, uid: str) -> str | None:
        """The id of a trial's model."""
        model = self._find_model(uid)
        return None if model is None else str(model.model_id)

    def run_of(self, uid: str) -> str | None:
        """The id of the run with this uid."""
        run = self._find(uid)
        return None if run is None else str(run.info.run_id)

    def _terminate(self, run_id: str, status: str) -> None:
        """End a run once: MLflow would move the end time of an ended run."""
        if self.client.get_run(run_id).info.status != status:
            self.client.set_terminated(run_id, status)

    def _create_run(self, name: str, tags: Mapping[str, str]) -> Run:
        tags = tags_without_passwords(resolve_tags(dict(tags)))
        run = self.client.create_run(self.experiment_id, run_name=name, tags=tags)
        wrote("run created")
        return run

    def _find(self, uid: str) -> Run | None:
        runs = self.client.search_runs(
            [self.experiment_id], filter_string=f"tags.`{TAG}.uid` = '{uid}'", max_results=1
        )
        return runs[0] if runs else None

    def _find_model(self, uid: str) -> LoggedModel | None:
        models = self.client.search_logged_models(
            [self.experiment_id], filter_string=f"tags.`{TAG}.uid` = '{uid}'", max_results=1
        )
        return models[0] if models else None


def run_page(experiment_id: str, run_id: str) -> str:
    """The address of a run in MLflow's UI, after the UI's own address."""
    return f"#/experiments/{experiment_id}/runs/{run_id}"


def is_away(error: Exception) -> bool:
    """Whether a failed call may succeed later (no connection, no reply, no space, a busy database);
    False if the request was refused."""
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()  # type: ignore[no-untyped-call]
        return status not in REFUSALS
    return isinstance(error, OSError | SQLAlchemyError)


def _experiment(client: MlflowClient, store: Store, study: str) -> str:
    experiment = find_experiment(client, study)
    if experiment is not None and is_deleted(experiment):
        command = f"{shlex.quote(sys.executable)} -m mlflow experiments restore --experiment-id"
        # Without the address MLflow creates a database in the working directory.
        address = f"MLFLOW_TRACKING_URI={shlex.quote(store.tracking_uri)} "
        raise DeletedExperimentError(
            f"the experiment of {study} was deleted in MLflow; restore it with `"
            f"{'' if store.tracking else address}{command} {experiment.experiment_id}`, or use "
            "another store."
        )
    tags = {**KIND, STUDY: study}
    if experiment is not None:
        for name in tags.keys() - experiment.tags.keys():  # created by an earlier version
            client.set_experiment_tag(experiment.experiment_id, name, tags[name])
        return str(experiment.experiment_id)
    at_server = is_server(store.tracking_uri)  # a server chooses its own artifact location
    location = None if at_server else artifact_location(store.artifacts / study)
    name = study
    if client.get_experiment_by_name(name) is not None:  # another experiment was renamed to it
        name = f"{study} {uuid.uuid4().hex[:6]}"
    try:
        return str(client.create_experiment(name, artifact_location=location, tags=tags))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return _experiment(client, store, study)  # another host has just created it


def _dataset(data_hash: str, info: DataInfo) -> DatasetInput:
    profile = {"train_images": info.train, "val_images": info.val, "sha256": data_hash}
    shape = ", ".join(map(str, ("N", *info.image_shape)))
    schema = {"images": f"uint8 ({shape})", "labels": f"0 to {len(info.classes) - 1}"}
    url = "https://github.com/zalandoresearch/fashion-mnist"
    source = {"url": url} if info.files is None else {"path": info.files.path}
    dataset = Dataset(
        name=info.name,
        digest=data_hash[:36],  # MLflow's limit; the profile has the whole hash
        source_type="local",
        source=json.dumps(source),
        schema=json.dumps(schema),
        profile=json.dumps(profile),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training and validation")])


def _digest(note: str) -> str:
    return hashlib.sha256(note.encode()).hexdigest()[:12]


def _machine() -> dict[str, str]:
    return {
        f"{TAG}.python": platform.python_version(),
        f"{TAG}.platform": platform.platform(),
        f"{TAG}.cores": str(os.cpu_count()),
    }


def git_diff(folder: Path = Path(__file__).parent) -> str:
    """The working tree's changes since its commit; empty outside a checkout."""
    try:
        diff = subprocess.run(
            ["git", "diff", "HEAD"],
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",  # the tree's files may have any encoding
            check=False,
        )
    except FileNotFoundError:
        return ""
    return diff.stdout


def param_text(value: Any) -> str:
    """A config field's value as the text of an MLflow parameter."""
    return json.dumps(value, sort_keys=True) if isinstance(value, Mapping) else str(value)
