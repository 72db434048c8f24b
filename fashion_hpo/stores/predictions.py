"""Read the trials' validation logits.

A trial's logits are a file of the store, written before the trial's result, which holds the file's
sha256.  MLflow has a copy, which `logged_predictions` reads if the file is not in this store: an
earlier version logged to MLflow only, and another host's trials are in that host's store.
"""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fashion_hpo.design.sentences import study_command
from fashion_hpo.stores.layout import Store

if TYPE_CHECKING:
    from fashion_hpo.stores.logged_predictions import LoggedPredictions

FILE = "validation_logits.npz"
HASHED_AS = f"files/{FILE}"  # the key in a result's files


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
        self._logged: LoggedPredictions | None = None

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
        if self._logged is not None and self._logged.is_away:
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
        from fashion_hpo.stores.logged_predictions import LoggedPredictions  # imports MLflow

        if self._logged is None:
            self._logged = LoggedPredictions(self._store, self._study, self._ledger, FILE)
        for content in self._logged.copies(uid):
            yield content, False
