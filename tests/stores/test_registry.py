"""Registered models: what was registered is what is loaded, or nothing is."""

import json
from collections.abc import Callable
from pathlib import Path

import mlflow.pytorch
import pytest
import torch
from mlflow.entities.model_registry import ModelVersion

from fashion_hpo.stores import model_files, models, registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.models import UnsafeModelError
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training.architectures import build
from fashion_hpo.training.packaging import served

IMAGES = torch.zeros(2, 28, 28, dtype=torch.uint8)


def register(store: Store, written: Path) -> tuple[Tracker, ModelVersion]:
    """A model in the store's registry, and champion."""
    tracker = Tracker(store, "tiny")
    run_id = tracker.client.create_run(tracker.experiment_id).info.run_id
    models.write_model(served(build("simple_cnn"), "unit"), written, IMAGES.numpy(), {})
    hashes = model_files.file_hashes(written)
    model_id = tracker.log_model(run_id, "uid", written, 1, "a model")
    version = registry.create_version(tracker, model_id, run_id, "uid", {}, "# card", hashes)
    registry.make_champion(tracker, version)
    return tracker, version


@pytest.fixture
def registered(store: Store, tmp_path: Path) -> tuple[Tracker, ModelVersion]:
    return register(store, tmp_path / "model")


Registered = tuple[Tracker, ModelVersion]


def test_a_version_has_a_manifest_of_its_files(registered: Registered) -> None:
    tracker, version = registered
    kept = json.loads(version.tags["fashion_hpo.manifest"])
    assert kept.keys() == models.FILES
    assert list(kept) == sorted(kept)
    folder = registry.download(tracker.uri, str(version.source))
    assert kept == model_files.file_hashes(folder)


@pytest.mark.parametrize("address", [registry.CHAMPION_URI, "models:/fashion-mnist-classifier/1"])
def test_a_version_is_loaded_as_it_was_registered(registered: Registered, address: str) -> None:
    folder = registry.download_verified(registered[0].uri, address)
    assert models.read_model(folder)(IMAGES).shape == (2, 10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "data" / "model.pt2").unlink(), r"data/model\.pt2 is missing"),
        (lambda folder: (folder / "MLmodel").write_text("x"), "MLmodel is altered"),
        (lambda folder: (folder / "more.py").write_text("x"), r"more\.py is added"),
        (lambda folder: (folder / "data" / "model.pth").touch(), r"data/model\.pth is added"),
    ],
)
def test_changed_files_are_refused(
    registered: Registered, change: Callable[[Path], object], words: str
) -> None:
    tracker, version = registered
    change(registry.download(tracker.uri, str(version.source)))
    for address in (registry.CHAMPION_URI, registry.address_of(version)):
        with pytest.raises(UnsafeModelError, match=rf"version 1 is not .* registered: {words}; "):
            registry.download_verified(tracker.uri, address)


def test_mlflows_own_load_changes_nothing(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes `registered_model_meta` beside the model."""
    tracker, version = registered
    folder = registry.download(tracker.uri, str(version.source))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracker.uri)
    assert mlflow.pytorch.load_model(registry.CHAMPION_URI)(IMAGES).shape == (2, 10)
    assert (folder / "registered_model_meta").exists()
    assert registry.download_verified(tracker.uri, registry.CHAMPION_URI) == folder
    assert models.read_model(folder)(IMAGES).shape == (2, 10)


def test_a_flipped_bit_is_refused(registered: Registered) -> None:
    tracker, version = registered
    path = registry.download(tracker.uri, str(version.source)) / "data" / "model.pt2"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnsafeModelError, match=r"data/model\.pt2 is altered"):
        registry.download_verified(tracker.uri, registry.CHAMPION_URI)


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '"MLmodel"'])
def test_a_version_without_a_manifest_is_refused_until_it_has_one(
    registered: Registered, text: str | None
) -> None:
    tracker, version = registered
    tag = (version.name, version.version, registry.MANIFEST)
    if text is None:
        tracker.client.delete_model_version_tag(*tag)
    else:
        tracker.client.set_model_version_tag(*tag, text)
    with pytest.raises(UnsafeModelError, match=r"^fashion-.* version 1 has no manifest .* again"):
        registry.download_verified(tracker.uri, registry.CHAMPION_URI)
    found = registry.find_version(tracker, "uid")
    assert found is not None
    folder = registry.download(tracker.uri, str(version.source))
    registry.set_manifest(tracker, found, model_files.file_hashes(folder))
    assert registry.download_verified(tracker.uri, registry.CHAMPION_URI) == folder


def test_a_manifest_is_never_replaced(registered: Registered) -> None:
    tracker, version = registered
    registry.set_manifest(tracker, version, {"MLmodel": "0" * 64})
    found = registry.find_version(tracker, "uid")
    assert found is not None
    assert found.tags[registry.MANIFEST] == version.tags[registry.MANIFEST]


ELSEWHERE = [
    "models:/../../etc", "models:/..", "models:/a/b", "models:/a/1/..", "models:/a@b@c", "models:/",
    "/etc", "models:/a\0", "file:///etc", "s3://bucket/model", "models:/a@../c", "models:/a b",
    "models:/\u00e9", "runs:/1/model", "models:/" + "a" * 300,
]  # fmt: skip


@pytest.mark.parametrize("address", [*ELSEWHERE, "models:/a/1", "models:/a@b"])
def test_an_address_of_no_model_is_refused(store: Store, address: str) -> None:
    with pytest.raises(ValueError, match=r"^model address is .*; allowed is models:/MODEL_ID\.$"):
        registry.download(store.tracking_uri, address)


@pytest.mark.parametrize("address", [*ELSEWHERE, "models:/m-0"])
def test_an_address_of_no_version_is_refused(store: Store, address: str) -> None:
    with pytest.raises(ValueError, match=r"^model address is .*; allowed is models:/NAME/VERSION"):
        registry.download_verified(store.tracking_uri, address)


@pytest.mark.parametrize("address", ["models:/m-0", "models:/a/1", registry.CHAMPION_URI])
def test_an_address_of_nothing_is_refused(store: Store, address: str) -> None:
    read = registry.download if address == "models:/m-0" else registry.download_verified
    way_out = (
        r"cannot be read \(.*; register a model with `python -m fashion_hpo.register STUDY`\.$"
    )
    with pytest.raises(ValueError, match=way_out):
        read(store.tracking_uri, address)
