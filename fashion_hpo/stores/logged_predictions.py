"""Read MLflow's copies of the trials' validation logits."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.stores.experiments import find_experiment
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.paging import pages
from fashion_hpo.stores.tracking import TAG, is_away

FAILURES = (MlflowException, SQLAlchemyError, OSError)


class LoggedPredictions:
    """The copies of one ledger's files in the store's MLflow database and on the tracking server.

    file: a file's name among the artifacts of a trial's run.
    `is_away` is whether the server could not be reached.
    """

    def __init__(self, store: Store, study: str, ledger: str, file: str) -> None:
        self.is_away = False
        self._file = file
        self._store, self._study, self._ledger = store, study, ledger
        self._runs: dict[str, dict[str, list[str]]] = {}

    def copies(self, uid: str) -> Iterator[bytes]:
        """Every readable copy of a trial's file, those of the store first."""
        embedded = replace(self._store, tracking=None)
        if (embedded.databases / "mlflow.db").exists():  # opening an absent one would create it
            for run in self._runs_of(embedded.tracking_uri, uid):
                with suppress(OSError):
                    folder = self._store.artifacts / self._study / run / "artifacts"
                    yield (folder / self._file).read_bytes()
        if self._store.tracking is not None:
            for run in self._runs_of(self._store.tracking, uid):
                if (content := self._downloaded(self._store.tracking, run)) is not None:
                    yield content

    def _runs_of(self, uri: str, uid: str) -> list[str]:
        """The ids of a trial's runs, also deleted ones, whose files stay until `mlflow gc`."""
        if self.is_away:
            return []
        if uri not in self._runs:
            self._runs[uri] = {}
            try:
                self._runs[uri] = self._look_up(MlflowClient(uri))
            except FAILURES as error:
                self._note(uri, error)
        return self._runs[uri].get(uid, [])

    def _look_up(self, client: MlflowClient) -> dict[str, list[str]]:
        experiment = find_experiment(client, self._study)
        runs_by_uid: dict[str, list[str]] = {}
        if experiment is None:
            return runs_by_uid
        ids, ours = [experiment.experiment_id], f"tags.`{TAG}.ledger` = '{self._ledger}'"
        for run in pages(client.search_runs, ids, ours, run_view_type=ViewType.ALL):
            uid = str(run.data.tags.get(f"{TAG}.uid"))
            runs_by_uid.setdefault(uid, []).append(str(run.info.run_id))
        return runs_by_uid

    def _downloaded(self, uri: str, run: str) -> bytes | None:
        client = MlflowClient(uri)
        try:
            if self._file not in {file.path for file in client.list_artifacts(run)}:
                return None
            with TemporaryDirectory() as folder:
                return Path(client.download_artifacts(run, self._file, folder)).read_bytes()
        except FAILURES as error:
            self._note(uri, error)
            return None

    def _note(self, uri: str, error: Exception) -> None:
        """Note that a server is away, so that it is not called for every trial."""
        self.is_away |= uri.startswith("http") and is_away(error)
