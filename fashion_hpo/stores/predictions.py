"""What trials said of every validation image, read back: the one reader of the kept logits."""

import hashlib
import io
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.stores.experiments import find_experiment
from fashion_hpo.stores.layout import Store

FILE = "validation_logits.npz"


class Predictions(NamedTuple):
    """Logits float16 (N, 10) and true classes uint8 (N,), in the order of the split."""

    logits: np.ndarray
    labels: np.ndarray


class NoPredictionsError(ValueError):
    """A trial's validation logits cannot be had; the text says what has become of them."""


class PredictionFiles:
    """The predictions of one ledger's trials, each read once, at first need.

    What is read is held against the hash in the ledger.  `hashes`: sha256 by the trials' uids.
    """

    def __init__(self, store: Store, study: str, ledger: str, hashes: Mapping[str, str]) -> None:
        self._store, self._study, self._ledger = store, study, ledger
        self._hashes = hashes
        self._read: dict[str, Predictions | None] = {}

    def of_trial(self, uid: str) -> Predictions | None:
        """A trial's, from the store's own files; None where they have none as it was written.

        With a tracking server there are none: downloading all for every report would take too long.
        """
        if uid not in self._read:
            try:
                self._read[uid] = self._checked(uid, self._path(uid).read_bytes())
            except (OSError, NoPredictionsError):
                self._read[uid] = None
        return self._read[uid]

    def fetch(self, uid: str) -> Predictions:
        """A trial's, from a tracking server too.

        Raises NoPredictionsError if it has none, they are not those that were written, or tracking
        is away.
        """
        try:
            content = self._content(uid)
        except (OSError, MlflowException, SQLAlchemyError):
            raise NoPredictionsError("are not there") from None
        return self._checked(uid, content)

    def _content(self, uid: str) -> bytes:
        path = self._path(uid)
        if path.exists() or self._store.tracking is None:
            return path.read_bytes()
        runs = self._look_up(f"tags.`fashion_hpo.uid` = '{uid}'")
        if uid not in runs:
            raise FileNotFoundError(uid)
        with TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(runs[uid], FILE, folder)).read_bytes()

    def _checked(self, uid: str, content: bytes) -> Predictions:
        if uid not in self._hashes:
            raise NoPredictionsError("were never written")
        if hashlib.sha256(content).hexdigest() != self._hashes[uid]:
            raise NoPredictionsError("were altered")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return Predictions(arrays["logits"], arrays["labels"])

    def _path(self, uid: str) -> Path:
        under_way = self._store.trial_folder(uid) / "files" / FILE
        if uid in self._runs and not under_way.exists():
            return self._store.artifacts / self._study / self._runs[uid] / "artifacts" / FILE
        return under_way

    @cached_property
    def _runs(self) -> dict[str, str]:
        """MLflow's run ids by trial uid; none where the database cannot be read."""
        if self._store.tracking is not None or not (self._store.databases / "mlflow.db").exists():
            return {}
        try:
            return self._look_up(f"tags.`fashion_hpo.ledger` = '{self._ledger}'")
        except (MlflowException, SQLAlchemyError, OSError):
            return {}

    def _look_up(self, wanted: str) -> dict[str, str]:
        experiment = find_experiment(self._client, self._study)
        found: dict[str, str] = {}
        page = None
        while experiment is not None:
            runs = self._client.search_runs([experiment.experiment_id], wanted, page_token=page)
            for run in runs:
                found[str(run.data.tags.get("fashion_hpo.uid"))] = str(run.info.run_id)
            page = runs.token
            if not page:
                break
        return found

    @cached_property
    def _client(self) -> MlflowClient:
        return MlflowClient(self._store.tracking_uri)
