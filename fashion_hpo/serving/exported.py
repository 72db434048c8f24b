"""Read a model that `register --export` wrote, without a store."""

import json
from pathlib import Path

from fashion_hpo.serving.classifier import UNSURE, Classifier
from fashion_hpo.stores import models
from fashion_hpo.stores.model_files import changes
from fashion_hpo.stores.models import EXPORT_DESCRIPTION, EXPORT_MODEL, UnsafeModelError
from fashion_hpo.stores.tracking import TAG


def exported(folder: Path) -> Classifier:
    """The model of an exported folder.

    Raises ValueError if the folder is no export, and UnsafeModelError if its model's files differ
    from the exported ones.
    """
    try:
        about = json.loads((folder / EXPORT_DESCRIPTION).read_text(encoding="utf-8"))
        files, unsure = dict(about["files"]), about["tags"].get(f"{TAG}.{UNSURE}")
        name, version, classes = str(about["name"]), str(about["version"]), tuple(about["classes"])
        unsure_below = None if unsure is None else float(unsure)
        channels = int(about["channels"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"--model is {folder}, which is no exported model ({type(error).__name__}: {error}); "
            "name a folder that `python -m fashion_hpo.register --export DIR` wrote."
        ) from None
    if changed := changes(folder / EXPORT_MODEL, files):
        raise UnsafeModelError(
            f"the model in {folder} is not what was exported: {changed[0]}; export it again with "
            "`python -m fashion_hpo.register --export DIR`."
        )
    model = models.read_model(folder / EXPORT_MODEL)
    is_own = "data_set" in models.metadata_of(folder / EXPORT_MODEL)
    return Classifier(model, name, version, unsure_below, classes, channels, is_own)
