"""What trials said of every validation image: read back from the store's own files."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.stores.layout import Store

FILE = "validation_logits.npz"


class Predictions(NamedTuple):
    """Logits float16 (N, 10) and true classes uint8 (N,), in the order of the split."""

    logits: np.ndarray
    labels: np.ndarray


class PredictionFiles:
    """The predictions of one ledger's trials, each read once, at first need.

    Only files of the store are read: with a tracking server there are none, and downloading them
    for every report would take too long.
    """

    def __init__(self, store: Store, study: str, ledger: str) -> None:
        self._store, self._study, self._ledger = store, study, ledger
        self._read: dict[str, Predictions | None] = {}

    def of_trial(self, uid: str) -> Predictions | None:
        """A trial's, or None where the store has no readable file of it."""
        if uid not in self._read:
            self._read[uid] = _load(self._path(uid))
        return self._read[uid]

    def _path(self, uid: str) -> Path:
        under_way = self._store.trial_folder(uid) / "files" / FILE
        if uid in self._runs and not under_way.exists():
            return self._store.artifacts / self._study / self._runs[uid] / "artifacts" / FILE
        return under_way

    @cached_property
    def _runs(self) -> dict[str, str]:
        """MLflow's run ids by trial uid; none where the database cannot be read."""
        if self._store.tracking is not None or not (self._store.root / "mlflow.db").exists():
            return {}
        try:
            return self._look_up()
        except (MlflowException, SQLAlchemyError, OSError):
            return {}

    def _look_up(self) -> dict[str, str]:
        client = MlflowClient(self._store.tracking_uri)
        experiment = client.get_experiment_by_name(self._study)
        if experiment is None:
            return {}
        wanted, found, page = f"tags.`fashion_hpo.ledger` = '{self._ledger}'", {}, None
        while True:
            runs = client.search_runs([experiment.experiment_id], wanted, page_token=page)
            for run in runs:
                found[str(run.data.tags.get("fashion_hpo.uid"))] = str(run.info.run_id)
            page = runs.token
            if not page:
                return found


def _load(path: Path) -> Predictions | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Predictions(arrays["logits"], arrays["labels"])
    except (OSError, ValueError, KeyError, BadZipFile):
        return None
