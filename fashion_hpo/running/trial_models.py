"""The model that a trial logged, from MLflow, if it is still what was logged."""

from pathlib import Path

from fashion_hpo.stores import model_files, models, registry
from fashion_hpo.stores.ledger import Entry
from fashion_hpo.stores.tracking import Tracker


def model_folder(tracker: Tracker, entry: Entry) -> Path:
    """The folder of a trial's model.

    Raises ValueError if it has none, and UnsafeModelError if its files are not what was logged.
    """
    uid = entry.attempt.uid
    model_id = tracker.model_of(uid)
    if model_id is None or entry.result is None:
        lack = "no model any more (gc removed it)" if entry.given_up else "no model"
        raise ValueError(f"trial {uid} has {lack}; name a complete trial, or run it again.")
    folder = registry.download(tracker.uri, f"models:/{model_id}")
    if changed := model_files.changes(folder, model_files.hashes_in(entry.result.files)):
        raise models.UnsafeModelError(
            f"the model of trial {uid} is not what was logged: {changed[0]}"
        )
    return folder
