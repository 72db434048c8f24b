"""MLflow's model registry: versions of one registered model, and the alias of the champion.

A version has a manifest, the sha256 of each of its files, and is loaded only if they are the same.
"""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from fashion_hpo.stores.layout import without_password
from fashion_hpo.stores.models import UnsafeModelError, changes
from fashion_hpo.stores.tracking import TAG, Tracker

REGISTERED_NAME = "fashion-mnist-classifier"
CHAMPION = "champion"
CHAMPION_URI = f"models:/{REGISTERED_NAME}@{CHAMPION}"
MANIFEST = f"{TAG}.manifest"
MODEL = re.compile(r"models:/(\w[\w.-]{0,255})", re.ASCII)
VERSION = re.compile(r"models:/(\w[\w.-]{0,255})(?:/(\d{1,9})|@(\w[\w.-]{0,255}))", re.ASCII)


def find_version(tracker: Tracker, uid: str) -> ModelVersion | None:
    """The version made from the trial with this uid; registering twice must not make two."""
    versions = tracker.client.search_model_versions(f"name = '{REGISTERED_NAME}'")
    return next((v for v in versions if v.tags.get(f"{TAG}.uid") == uid), None)


def create_version(
    tracker: Tracker,
    model_id: str,
    run_id: str,
    uid: str,
    tags: Mapping[str, str],
    card: str,
    hashes: Mapping[str, str],
) -> ModelVersion:
    """Register a logged model, with its description and its files' sha256."""
    try:
        tracker.client.create_registered_model(
            REGISTERED_NAME, description="Fashion-MNIST: raw uint8 (N, 28, 28) to ten probabilities"
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    own = {f"{TAG}.{name}": value for name, value in tags.items()}
    own |= {f"{TAG}.uid": uid, MANIFEST: _canonical(hashes)}
    sys.audit("fashion_hpo.write", "registered model created")
    with _fluent_uri(tracker.uri):
        version = tracker.client.create_model_version(
            REGISTERED_NAME,
            f"models:/{model_id}",
            run_id,
            tags=own,
            description=card,
            model_id=model_id,
        )
    sys.audit("fashion_hpo.write", "version created")
    return version


def set_manifest(tracker: Tracker, version: ModelVersion, hashes: Mapping[str, str]) -> None:
    """Give a version that has none its manifest."""
    if _manifest(version) is None:
        tracker.client.set_model_version_tag(
            REGISTERED_NAME, str(version.version), MANIFEST, _canonical(hashes)
        )


def address_of(version: ModelVersion) -> str:
    """Where a version is found, by its number."""
    return f"models:/{version.name}/{version.version}"


def make_champion(tracker: Tracker, version: ModelVersion) -> None:
    """Point the alias at a version."""
    tracker.client.set_registered_model_alias(REGISTERED_NAME, CHAMPION, str(version.version))
    sys.audit("fashion_hpo.write", "alias moved")


def download(tracking_uri: str, address: str) -> Path:
    """The files of a logged model, models:/MODEL_ID, as a local folder.

    Resolved against this tracking store alone.  Raises ValueError if there is nothing there.
    """
    model_id, *_ = _parts(MODEL, address, "models:/MODEL_ID")
    client = MlflowClient(tracking_uri, tracking_uri)
    with _readable(address):
        model = client.get_logged_model(model_id)
        return Path(
            download_artifacts(artifact_uri=model.artifact_location, tracking_uri=tracking_uri)
        )


def download_verified(tracking_uri: str, address: str) -> Path:
    """The files of a version, models:/NAME/VERSION or models:/NAME@ALIAS, as a local folder.

    Raises ValueError if there is nothing at this address, and UnsafeModelError if a file was
    altered, removed or added since the version was registered.
    """
    name, number, alias = _parts(VERSION, address, "models:/NAME/VERSION and models:/NAME@ALIAS")
    client = MlflowClient(tracking_uri, tracking_uri)
    with _readable(address):
        if number:
            version = client.get_model_version(name, number)
        else:
            version = client.get_model_version_by_alias(name, alias)
    what = f"{version.name} version {version.version}"
    if (manifest := _manifest(version)) is None:
        raise UnsafeModelError(
            f"{what} has no manifest of its files; register it again with "
            "`python -m fashion_hpo.register STUDY`."
        )
    folder = download(tracking_uri, str(version.source))
    if found := changes(folder, manifest):
        raise UnsafeModelError(
            f"{what} is not what was registered: {found[0]}; restore the file, or register another."
        )
    return folder


@contextmanager
def _readable(address: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, OSError) as error:
        reason = without_password(str(error).splitlines()[0])
        raise ValueError(f"{address} cannot be read ({reason}); register a model first.") from None


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


def _parts(pattern: re.Pattern[str], address: str, allowed: str) -> tuple[str, ...]:
    if (found := pattern.fullmatch(address)) is None:
        raise ValueError(f"model address is {address[:80]!r}; allowed is {allowed}.")
    return found.groups()


def _manifest(version: ModelVersion) -> dict[str, str] | None:
    try:
        kept = json.loads(version.tags.get(MANIFEST, ""))
    except ValueError:
        return None
    return kept if isinstance(kept, dict) else None


def _canonical(hashes: Mapping[str, str]) -> str:
    return json.dumps(dict(hashes), sort_keys=True, separators=(",", ":"))
