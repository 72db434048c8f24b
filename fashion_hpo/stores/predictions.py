"""What trials said of every validation image, read back: the one reader of the kept logits.

A trial's logits are evidence, as its result is: they are a file of the store, written before the
result, whose sha256 is in the ledger.  MLflow has a copy.  Stores made before have that copy alone,
and another host's trials are in that host's store; theirs are taken from MLflow, once.
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
HASHED_AS = f"files/{FILE}"  # in a result's files
FAILURES = (MlflowException, SQLAlchemyError, OSError)


class Predictions(NamedTuple):
    """Logits float16 (N, 10) and true classes uint8 (N,), in the order of the split."""

    logits: np.ndarray
    labels: np.ndarray


class NoPredictionsError(ValueError):
    """A trial's validation logits cannot be had: what has become of them, and what to do."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.advice = advice


class PredictionFiles:
    """The predictions of one ledger's trials, each read once, at first need.

    What is read is held against the hash in the ledger, so that it is the same wherever it comes
    from.  `hashes`: sha256 by the trials' uids.
    """

    def __init__(self, store: Store, study: str, ledger: str, hashes: Mapping[str, str]) -> None:
        self._store, self._study, self._ledger = store, study, ledger
        self._hashes = hashes
        self._read: dict[str, Predictions | NoPredictionsError] = {}
        self._runs: dict[str, dict[str, list[str]]] = {}
        self._is_away = False

    def read(self, uid: str) -> Predictions:
        """A trial's predictions; raises NoPredictionsError if no copy is as it was written."""
        if uid not in self._read:
            try:
                with np.load(io.BytesIO(self.content(uid)), allow_pickle=False) as arrays:
                    self._read[uid] = Predictions(arrays["logits"], arrays["labels"])
            except NoPredictionsError as error:
                self._read[uid] = error
        found = self._read[uid]
        if isinstance(found, NoPredictionsError):
            raise found
        return found

    def content(self, uid: str) -> bytes:
        """The file's bytes as they were written; MLflow's copy is kept in the store.

        Raises NoPredictionsError as `read` does.
        """
        if uid not in self._hashes:
            again = study_command(self._study, self._ledger.split("/")[1], "--revise")
            raise NoPredictionsError("were never written", f"train again with {again}")
        altered = False
        for content, is_kept in self._copies(uid):
            if hashlib.sha256(content).hexdigest() == self._hashes[uid]:
                if not is_kept and self._store.copied is None:
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
        """Every copy that can be read, the nearest first, and whether the store keeps it."""
        for path in (self._store.logits(uid), self._store.trial_folder(uid) / HASHED_AS):
            with suppress(OSError):
                yield path.read_bytes(), True
        own = replace(self._store, tracking=None)
        if (own.databases / "mlflow.db").exists():  # opening one that is not there would make it
            for run in self._runs_of(own.tracking_uri, uid):
                with suppress(OSError):
                    folder = self._store.artifacts / self._study / run / "artifacts"
                    yield (folder / FILE).read_bytes(), False
        if self._store.tracking is not None:
            for run in self._runs_of(self._store.tracking, uid):
                if (content := self._downloaded(self._store.tracking, run)) is not None:
                    yield content, False

    def _runs_of(self, uri: str, uid: str) -> list[str]:
        """The ids of a trial's runs, deleted ones too: their files stay until `mlflow gc`."""
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
        found: dict[str, list[str]] = {}
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
                found.setdefault(uid, []).append(str(run.info.run_id))
            page = runs.token
            if not page:
                break
        return found

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
        """A server that does not answer is not asked for every trial."""
        self._is_away |= uri.startswith("http") and is_away(error)
