"""MLflow's model registry: versions of one registered model, and the alias of the champion.

A version has a manifest, the sha256 of each of its files, and is loaded only if the files match.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion, RegisteredModel, RegisteredModelTag
from mlflow.exceptions import MlflowException

from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo
from fashion_hpo.design.sentences import quoted
from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.layout import without_password
from fashion_hpo.stores.model_files import changes, remedy
from fashion_hpo.stores.models import UnsafeModelError
from fashion_hpo.stores.tracking import TAG, Tracker

REGISTERED_NAME = FASHION_MNIST.registered_name
DATA_SET = f"{TAG}.data_set"  # tag of the registered models of other data sets
CHAMPION = "champion"
PREVIOUS = "previous"  # the alias of the previous champion
WITHDRAWN = "withdrawn"  # the champion that an unfinished roll-back replaces
CHAMPION_URI = f"models:/{REGISTERED_NAME}@{CHAMPION}"
DESCRIPTION = """Says which of {classes} an image of {data_set} shows.

* **Input**: raw uint8 images, shape ({shape}), {colours}.
* **Output**: {count} probabilities for each image, in the order of the class names in its metadata.
* **`champion`** is the version in use, **`previous`** the one before. A version becomes champion
  only if it is not worse on images that no training and no choice has seen.
* Each version's description is its model card: config, accuracy with intervals, limits.
"""
MOST_MODELS = 1000  # registered models that are looked through
MANIFEST = f"{TAG}.manifest"
REGISTER = "python -m fashion_hpo.register STUDY"
MODEL = re.compile(r"models:/(\w[\w.-]{0,255})", re.ASCII)
VERSION = re.compile(r"models:/(\w[\w.-]{0,255})(?:/(\d{1,9})|@(\w[\w.-]{0,255}))", re.ASCII)


def registered_names(client: MlflowClient) -> list[str]:
    """The names of our registered models, one for each data set, whether or not there are any."""
    models = client.search_registered_models(max_results=MOST_MODELS)
    return [REGISTERED_NAME, *sorted(model.name for model in models if DATA_SET in model.tags)]


def champion_uri(name: str) -> str:
    """The address of a registered model's champion."""
    return f"models:/{name}@{CHAMPION}"


def find_version(
    tracker: Tracker, uid: str, model_id: str | None = None, name: str = REGISTERED_NAME
) -> ModelVersion | None:
    """The version made from a trial, so that registering twice makes one version.

    With `model_id`, only a version of that model: the trial's earlier model may have been deleted.
    """
    versions = tracker.client.search_model_versions(f"name = '{name}'")
    sources = {f"models:/{model_id}"} if model_id else {str(v.source) for v in versions}
    of_trial = (v for v in versions if v.tags.get(f"{TAG}.uid") == uid)
    return next((v for v in of_trial if str(v.source) in sources), None)


def retire_others(tracker: Tracker, uid: str, version: ModelVersion) -> list[str]:
    """Take the uid from a trial's other versions; returns their numbers."""
    others = [
        str(other.version)
        for other in tracker.client.search_model_versions(f"name = '{version.name}'")
        if other.tags.get(f"{TAG}.uid") == uid and str(other.version) != str(version.version)
    ]
    for number in others:
        tracker.client.set_model_version_tag(version.name, number, f"{TAG}.uid", f"{uid}-{number}")
    return others


def create_version(
    tracker: Tracker,
    model_id: str,
    run_id: str,
    uid: str,
    tags: Mapping[str, str],
    card: str,
    hashes: Mapping[str, str],
    model: RegisteredModel | None = None,
) -> ModelVersion:
    """Register a logged model, with its description and its files' sha256.

    `model`: the registered model that it is a version of; default: Fashion-MNIST's.
    """
    model = model or registered_model(FASHION_MNIST)
    try:
        tracker.client.create_registered_model(model.name, model.tags, model.description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    prefixed = {f"{TAG}.{name}": value for name, value in tags.items()}
    prefixed |= {f"{TAG}.uid": uid, MANIFEST: _canonical(hashes)}
    wrote("registered model created")
    with _fluent_uri(tracker.uri):
        version = tracker.client.create_model_version(
            model.name,
            f"models:/{model_id}",
            run_id,
            tags=prefixed,
            description=card,
            model_id=model_id,
        )
    wrote("version created")
    return version


def set_manifest(tracker: Tracker, version: ModelVersion, hashes: Mapping[str, str]) -> None:
    """Write the manifest of a version that has none."""
    if manifest_of(version) is None:
        tracker.client.set_model_version_tag(
            version.name, str(version.version), MANIFEST, _canonical(hashes)
        )


def manifest_of(version: ModelVersion) -> dict[str, str] | None:
    """sha256 of each of a version's files; None where a person removed or changed the tag."""
    try:
        manifest = json.loads(version.tags.get(MANIFEST, ""))
    except ValueError:
        return None
    return manifest if isinstance(manifest, dict) else None


def address_of(version: ModelVersion) -> str:
    """The models:/ address of a version, by number."""
    return f"models:/{version.name}/{version.version}"


def describe(tracker: Tracker, version: ModelVersion, tags: Mapping[str, str], card: str) -> None:
    """Replace a version's description and the given tags."""
    name, number = version.name, str(version.version)
    for key, value in tags.items():
        tracker.client.set_model_version_tag(name, number, f"{TAG}.{key}", value)
    tracker.client.update_model_version(name, number, card)
    wrote("version described")


def champion(tracker: Tracker, name: str = REGISTERED_NAME) -> ModelVersion | None:
    """The version with the alias `champion`; None if there is none."""
    number = aliases(tracker.client, name).get(CHAMPION)
    if number is None:
        return None
    return tracker.client.get_model_version(name, number)


def has_model(client: MlflowClient, version: ModelVersion) -> bool:
    """Whether a version's model is in MLflow; a person may have deleted it."""
    try:
        client.get_logged_model(str(version.source).removeprefix("models:/"))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def make_champion(tracker: Tracker, version: ModelVersion) -> None:
    """Make a version the champion; the present champion becomes `previous`.

    A killed roll-back is finished first, if the version to restore still exists.
    """
    client, number, name = tracker.client, str(version.version), str(version.name)
    if WITHDRAWN in aliases(client, name):
        try:
            roll_back(client, name)
        except ValueError:
            client.delete_registered_model_alias(name, WITHDRAWN)
    present = aliases(client, name).get(CHAMPION)
    if present == number:
        return
    if present is not None:
        _point(client, name, PREVIOUS, present)
    _point(client, name, CHAMPION, number)


def to_roll_back(client: MlflowClient, name: str = REGISTERED_NAME) -> tuple[str, str]:
    """The versions that a roll-back restores and withdraws, or those of a killed roll-back.

    Raises ValueError if there is no previous champion.
    """
    present = aliases(client, name)
    withdrawn = present.get(WITHDRAWN, present.get(CHAMPION, ""))
    candidates = (present.get(PREVIOUS), present.get(CHAMPION))
    restored = next((number for number in candidates if number not in (None, withdrawn)), None)
    if restored is None:
        raise ValueError(f"{name} has no previous champion to go back to; register another study.")
    return restored, withdrawn


def roll_back(client: MlflowClient, name: str = REGISTERED_NAME) -> None:
    """Swap `champion` and `previous`; a repetition after a kill finishes the same swap.

    The alias `withdrawn` exists during the swap.  Raises ValueError as `to_roll_back` does.
    """
    restored, withdrawn = to_roll_back(client, name)
    if withdrawn:
        _point(client, name, WITHDRAWN, withdrawn)
    _point(client, name, CHAMPION, restored)
    if withdrawn:
        _point(client, name, PREVIOUS, withdrawn)
        client.delete_registered_model_alias(name, WITHDRAWN)
        wrote("roll-back ended")


def registered_model(info: DataInfo) -> RegisteredModel:
    """The registered model of a data set, to be created."""
    shape = ", ".join(map(str, ("N", *info.image_shape)))
    tags = [] if info.is_default else [RegisteredModelTag(DATA_SET, info.name)]  # type: ignore[no-untyped-call]
    what = DESCRIPTION.format(
        classes="ten articles of clothing" if info.is_default else f"{len(info.classes)} classes",
        data_set="Fashion-MNIST" if info.is_default else info.name,
        shape=shape,
        colours=(
            "grey, the article bright on black"
            if info.is_default
            else ("grey" if info.channels == 1 else "red, green, blue")
        ),
        count="ten" if len(info.classes) == 10 else len(info.classes),
    )
    return RegisteredModel(info.registered_name, description=what, tags=tags)


def _point(client: MlflowClient, name: str, alias: str, number: str) -> None:
    client.set_registered_model_alias(name, alias, number)
    wrote("alias moved" if alias == CHAMPION else f"{alias} set")


def aliases(client: MlflowClient, name: str = REGISTERED_NAME) -> dict[str, str]:
    """Version numbers by alias; empty before the first registration."""
    try:
        model = client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return {}
    return {alias: str(number) for alias, number in model.aliases.items()}


def download(tracking_uri: str, address: str) -> Path:
    """The files of a logged model, models:/MODEL_ID, as a local folder.

    Only this tracking store is asked.  Raises ValueError if there is no such model.
    """
    model_id, *_ = _parts(MODEL, address, "models:/MODEL_ID")
    with _readable(address):
        return _files(tracking_uri, model_id)


def _files(tracking_uri: str, model_id: str) -> Path:
    model = MlflowClient(tracking_uri, tracking_uri).get_logged_model(model_id)
    return Path(download_artifacts(artifact_uri=model.artifact_location, tracking_uri=tracking_uri))


def download_verified(tracking_uri: str, address: str) -> Path:
    """The files of a version as a local folder; raises as `version_verified` does."""
    return version_verified(tracking_uri, address)[1]


def version_verified(tracking_uri: str, address: str) -> tuple[ModelVersion, Path]:
    """A version, models:/NAME/VERSION or models:/NAME@ALIAS, and its files as a local folder.

    Raises ValueError if there is no such version, and UnsafeModelError if since its registration a
    file was altered or removed, or a file that could be run was added.
    """
    name, number, alias = _parts(VERSION, address, "models:/NAME/VERSION and models:/NAME@ALIAS")
    client = MlflowClient(tracking_uri, tracking_uri)
    with _readable(address):
        if number:
            version = client.get_model_version(name, number)
        else:
            version = client.get_model_version_by_alias(name, alias)
    what = f"{version.name} version {version.version}"
    if (manifest := manifest_of(version)) is None:
        raise UnsafeModelError(
            f"{what} has no manifest of its files; register it again with `{_register(version)}`."
        )
    model_id, *_ = _parts(MODEL, str(version.source), "models:/MODEL_ID")
    with _readable(what, _register(version)):
        folder = _files(tracking_uri, model_id)
    if changed := changes(folder, manifest):
        raise UnsafeModelError(
            f"{what} is not what was registered: {changed[0]}; {remedy(folder, changed[0])}, or "
            "register another study."
        )
    return version, folder


@contextmanager
def _readable(what: str, command: str = REGISTER) -> Iterator[None]:
    try:
        yield
    except (MlflowException, OSError) as error:
        reason = without_password(str(error).splitlines()[0]).rstrip(".")
        raise ValueError(
            f"{what} cannot be read ({reason}); register a model with `{command}`."
        ) from None


def _register(version: ModelVersion) -> str:
    """The command that registers a version's study."""
    study = str(version.tags.get(f"{TAG}.study", ""))
    return REGISTER.replace("STUDY", study) if re.fullmatch(r"\w+", study) else REGISTER


@contextmanager
def _fluent_uri(uri: str) -> Iterator[None]:
    """Within, `uri` is MLflow's process-wide address, where its sqlite registry looks up a models:/
    source.  MLflow sets an environment variable too, so the address before is restored."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it


def _parts(pattern: re.Pattern[str], address: str, allowed: str) -> tuple[str, ...]:
    if (match := pattern.fullmatch(address)) is None:
        raise ValueError(f"model address is {quoted(address, 80)}; allowed is {allowed}.")
    return match.groups()


def _canonical(hashes: Mapping[str, str]) -> str:
    return json.dumps(dict(hashes), sort_keys=True, separators=(",", ":"))
