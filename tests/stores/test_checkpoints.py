"""Copies of checkpoints, in every place that can hold them."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from fashion_hpo.stores.checkpoints import (
    Place,
    RunArtifacts,
    SharedCheckpoints,
    SharedFolder,
    place_of,
)
from fashion_hpo.stores.layout import Store, StoreError
from tests.faults.servers import HOST, TrackingServer


@pytest.fixture(params=["folder", "memory", "artifacts"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "folder":
        return SharedFolder(str(tmp_path / "shared"))
    if request.param == "memory":
        return SharedFolder(f"memory://{tmp_path.name}")
    server: TrackingServer = request.getfixturevalue("server")
    uri = f"http://{HOST}:{server.port}"
    client = MlflowClient(uri)
    experiment = client.create_experiment(f"checkpoints of {tmp_path.name}")
    run = client.create_run(experiment)
    return RunArtifacts(uri, lambda: str(run.info.artifact_uri))


def test_a_copy_is_read_replaced_and_removed(place: Place) -> None:
    copies = SharedCheckpoints(place, "ledger")
    assert copies.get("point") is None
    assert copies.put("point", b"first")
    assert copies.put("point", b"second")
    assert copies.put("other", b"third")
    assert copies.get("point") == b"second"
    copies.remove("point")
    assert copies.get("point") is None
    assert copies.get("other") == b"third"
    copies.remove("point")  # again


def test_half_a_copy_is_no_copy(place: Place) -> None:
    copies = SharedCheckpoints(place, "ledger")
    copies.put("point", b"a checkpoint of some length")
    whole = place.read("ledger/point.pt")
    assert whole is not None
    place.write("ledger/point.pt", whole[:-1])
    assert copies.get("point") is None
    place.write("ledger/point.pt", b"")
    assert copies.get("point") is None


def test_a_folder_has_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    place = SharedFolder(str(tmp_path))
    place.write("ledger/point.pt", b"first")
    during: list[bytes] = []
    rename = place._files.mv

    def mv(partial: str, path: str) -> None:
        during.append((tmp_path / "ledger" / "point.pt").read_bytes())
        assert Path(partial).read_bytes() == b"second"
        rename(partial, path)

    place._files.mv = mv
    try:
        place.write("ledger/point.pt", b"second")
    finally:
        del place._files.mv  # fsspec keeps one object for all local files
    assert during == [b"first"]
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == ["point.pt"]


def test_a_server_that_is_away_costs_no_trial(tmp_path: Path) -> None:
    away = RunArtifacts(f"http://{HOST}:9", lambda: f"mlflow-artifacts://{HOST}:9/1/run/artifacts")
    copies = SharedCheckpoints(away, "ledger")
    assert not copies.put("point", b"content")
    assert copies.get("point") is None
    copies.remove("point")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    addresses = {
        str(tmp_path / "file" / "below"): "where no file can be written",
        "nowhere://bucket": "where no file can be written",
        "abfs://user:secret@host": "needs another package",
    }
    for address, why in addresses.items():
        with pytest.raises(StoreError, match=why) as refused:
            SharedFolder(address)
        assert "secret" not in str(refused.value)


def test_without_another_host_there_are_no_copies(store: Store) -> None:
    assert place_of(store, str) is None
    shared = Store(store.root, "postgresql://user@host/ledgers", "http://host:5000")
    assert isinstance(place_of(shared, str), RunArtifacts)
    folder = Store(store.root, checkpoints=str(store.root / "shared"))
    assert isinstance(place_of(folder, str), SharedFolder)
