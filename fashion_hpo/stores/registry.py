"""MLflow's model registry: versions of one registered model, and the alias of the champion."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fashion_hpo.stores.tracking import TAG, Tracker

REGISTERED_NAME = "fashion-mnist-classifier"
CHAMPION = "champion"
CHAMPION_URI = f"models:/{REGISTERED_NAME}@{CHAMPION}"


def find_version(tracker: Tracker, uid: str) -> ModelVersion | None:
    """The version made from the trial with this uid; registering twice must not make two."""
    versions = tracker.client.search_model_versions(f"name = '{REGISTERED_NAME}'")
    return next((v for v in versions if v.tags.get(f"{TAG}.uid") == uid), None)


def create_version(
    tracker: Tracker, model_id: str, run_id: str, uid: str, tags: Mapping[str, str], card: str
) -> ModelVersion:
    """Register a logged model, with its description."""
    try:
        tracker.client.create_registered_model(
            REGISTERED_NAME, description="Fashion-MNIST: raw uint8 (N, 28, 28) to ten probabilities"
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    own = {f"{TAG}.{name}": value for name, value in tags.items()} | {f"{TAG}.uid": uid}
    with _fluent_uri(tracker.uri):
        return tracker.client.create_model_version(
            REGISTERED_NAME,
            f"models:/{model_id}",
            run_id,
            tags=own,
            description=card,
            model_id=model_id,
        )


def make_champion(tracker: Tracker, version: ModelVersion) -> None:
    """Point the alias at a version."""
    tracker.client.set_registered_model_alias(REGISTERED_NAME, CHAMPION, str(version.version))


def download(tracking_uri: str, address: str) -> Path:
    """A model's files, as a local folder.

    `address`: models:/MODEL_ID, models:/NAME/VERSION or models:/NAME@ALIAS, resolved against this
    tracking store alone.  Raises ValueError if there is nothing at this address.
    """
    client = MlflowClient(tracking_uri, tracking_uri)
    try:
        model = client.get_logged_model(_model_id(client, address.removeprefix("models:/")))
        path = download_artifacts(artifact_uri=model.artifact_location, tracking_uri=tracking_uri)
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{address} cannot be read ({reason}); register a model first.") from None
    return Path(path)


@contextmanager
def _fluent_uri(uri: str) -> Iterator[None]:
    """MLflow's sqlite registry looks a models:/ source up in the process-wide store, not in its
    own; that address is an environment variable as well, so both are put back."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it


def _model_id(client: MlflowClient, name: str) -> str:
    if "@" in name:
        version = client.get_model_version_by_alias(*name.split("@"))
    elif "/" in name:
        version = client.get_model_version(*name.split("/"))
    else:
        return name
    return str(version.source).removeprefix("models:/")
