"""Read the trials' validation logits.

A trial's logits are a file of the store, written before the trial's result, which holds the file's
sha256.  MLflow has a copy, which is downloaded once if the file is not in this store: an earlier
version logged to MLflow only, and another host's trials are in that host's store.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.design.sentences import study_command
from fashion_hpo.stores.experiments import find_experiment
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.tracking import is_away

FILE = "validation_logits.npz"
HASHED_AS = f"files/{FILE}"  # the key in a result's files
FAILURES = (MlflowException, SQLAlchemyError, OSError)


class Predictions(NamedTuple):
    """Logits float16 (N, 10) and true classes uint8 (N,), in the order of the split."""

    logits: np.ndarray
    labels: np.ndarray


class NoPredictionsError(ValueError):
    """A trial's validation logits are unavailable: what happened to them, and what to do."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.advice = advice


class PredictionFiles:
    """The predictions of one ledger's trials, each read once, at first need.

    hashes: sha256 by trial uid, from the ledger; every copy is verified against it.
    """

    def __init__(self, store: Store, study: str, ledger: str, hashes: Mapping[str, str]) -> None:
        self._store, self._study, self._ledger = store, study, ledger
        self._hashes = hashes
        self._read: dict[str, Predictions | NoPredictionsError] = {}
        self._runs: dict[str, dict[str, list[str]]] = {}
        self._is_away = False

    def read(self, uid: str) -> Predictions:
        """A trial's predictions; raises NoPredictionsError if every copy is missing or altered."""
        if uid not in self._read:
            try:
                with np.load(io.BytesIO(self.content(uid)), allow_pickle=False) as arrays:
                    self._read[uid] = Predictions(arrays["logits"], arrays["labels"])
            except NoPredictionsError as error:
                self._read[uid] = error
        result = self._read[uid]
        if isinstance(result, NoPredictionsError):
            raise result
        return result

    def content(self, uid: str) -> bytes:
        """The verified bytes of the file; MLflow's copy is then written to the store.

        Raises NoPredictionsError as `read` does.
        """
        if uid not in self._hashes:
            again = study_command(self._study, self._ledger.split("/")[1], "--revise")
            raise NoPredictionsError("were never written", f"train again with {again}")
        altered = False
        for content, in_store in self._copies(uid):
            if hashlib.sha256(content).hexdigest() == self._hashes[uid]:
                if not in_store and self._store.copied is None:
                    with suppress(OSError):  # a full disk
                        self._store.keep_logits(uid, content)
                return content
            altered = True
        if self._is_away:
            raise NoPredictionsError(
                "cannot be fetched while tracking is away", "run the same command once it is back"
            )
        place = self._store.logits(uid).relative_to(self._store.root)
        raise NoPredictionsError(
            "were altered" if altered else "are missing",
            f"let `python -m fashion_hpo.doctor {self._study} --fix` look for them, or put {place} "
            "back from a copy of the store",
        )

    def _copies(self, uid: str) -> Iterator[tuple[bytes, bool]]:
        """Every readable copy, the nearest first, and whether it is in the store."""
        for path in (self._store.logits(uid), self._store.trial_folder(uid) / HASHED_AS):
            with suppress(OSError):
                yield path.read_bytes(), True
        embedded = replace(self._store, tracking=None)
        if (embedded.databases / "mlflow.db").exists():  # opening an absent one would create it
            for run in self._runs_of(embedded.tracking_uri, uid):
                with suppress(OSError):
                    folder = self._store.artifacts / self._study / run / "artifacts"
                    yield (folder / FILE).read_bytes(), False
        if self._store.tracking is not None:
            for run in self._runs_of(self._store.tracking, uid):
                if (content := self._downloaded(self._store.tracking, run)) is not None:
                    yield content, False

    def _runs_of(self, uri: str, uid: str) -> list[str]:
        """The ids of a trial's runs, also deleted ones, whose files stay until `mlflow gc`."""
        if self._is_away:
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
        page = None
        while experiment is not None:
            runs = client.search_runs(
                [experiment.experiment_id],
                f"tags.`fashion_hpo.ledger` = '{self._ledger}'",
                run_view_type=ViewType.ALL,
                page_token=page,
            )
            for run in runs:
                uid = str(run.data.tags.get("fashion_hpo.uid"))
                runs_by_uid.setdefault(uid, []).append(str(run.info.run_id))
            page = runs.token
            if not page:
                break
        return runs_by_uid

    def _downloaded(self, uri: str, run: str) -> bytes | None:
        client = MlflowClient(uri)
        try:
            if FILE not in {file.path for file in client.list_artifacts(run)}:
                return None
            with TemporaryDirectory() as folder:
                return Path(client.download_artifacts(run, FILE, folder)).read_bytes()
        except FAILURES as error:
            self._note(uri, error)
            return None

    def _note(self, uri: str, error: Exception) -> None:
        """Note that a server is away, so that it is not called for every trial."""
        self._is_away |= uri.startswith("http") and is_away(error)
