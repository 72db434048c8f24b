import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import mlflow.pytorch
import numpy as np
import pytest
import torch
from torch import nn

from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.model_files import file_hashes
from fashion_hpo.stores.models import write_model
from fashion_hpo.stores.registry import create_version, make_champion
from fashion_hpo.stores.relocation import ADDRESSES, relocate
from fashion_hpo.stores.tracking import Tracker
from tests.folders import content
from tests.forks import at_once

KEPT = {"question": "Does it run?", "uid": "abc", "spec_hash": "123"}


class Tiny(nn.Module):
    """Ten equal probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(10))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images.float().mean((1, 2))[:, None] * 0 + self.bias).softmax(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "model"
    write_model(Tiny().eval(), folder, np.zeros((2, 28, 28), np.uint8), {})
    return folder


@pytest.fixture
def used(store: Store, model: Path, tmp_path: Path) -> Store:
    """A store with a study run, a trial's files, its model and a registered version of that."""
    tracker = Tracker(store, "tiny")
    study = tracker.study_run("tiny/quick/r1", "abc", KEPT, {})
    run = tracker.trial_run("abc-00000", study, "a trial", {"epochs": 3}, {}, "f" * 64)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "note.txt").write_text("kept")
    tracker.log_files(run, tmp_path / "files")
    model_id = tracker.log_model(run, "abc-00000", model, 3, "a model")
    hashes = file_hashes(model)
    version = create_version(tracker, model_id, run, "abc-00000", {}, "a card", hashes)
    make_champion(tracker, version)
    return store


def addresses(store: Store) -> list[str]:
    """Every address in the tracking database, models:/… left out."""
    with closing(sqlite3.connect(store.root / "mlflow.db")) as connection:
        found = [
            address
            for table, column in ADDRESSES
            for (address,) in connection.execute(f"SELECT {column} FROM {table}")
        ]
    return sorted(a for a in found if a and not a.startswith("models:/"))


def in_store(store: Store) -> Iterator[str]:
    """Those but the default experiment's, which lies where the tests run."""
    return (address for address in addresses(store) if not address.endswith("/0"))


def sql(store: Store, *statements: str) -> None:
    with closing(sqlite3.connect(store.root / "mlflow.db")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def use(store: Store) -> tuple[str, float, str, str]:
    """Load the champion and a file, and log a new run: where the model lies, what it comes to, the
    file and its text, where the run's files lie."""
    tracker = Tracker(store, "tiny")
    mlflow.set_tracking_uri(store.tracking_uri)
    where = tracker.client.get_model_version_download_uri("fashion-mnist-classifier", "1")
    model = mlflow.pytorch.load_model("models:/fashion-mnist-classifier@champion")
    total = float(model(torch.zeros(2, 28, 28, dtype=torch.uint8)).sum())
    note = tracker.client.download_artifacts(tracker.run_of("abc-00000"), "note.txt")
    new = tracker.client.create_run(tracker.experiment_id)
    tracker.client.log_text(new.info.run_id, "new", "new.txt")
    return where, total, f"{note} {Path(note).read_text()}", new.info.artifact_uri


def used_elsewhere(store: Store) -> tuple[str, float, str, str]:
    """`use` in a process that knows no old address."""
    (found,) = at_once(use, (store,))
    return found


def test_a_moved_store_is_used_where_it_is(used: Store, tmp_path: Path) -> None:
    there = Store((tmp_path / "other disk" / "moved").resolve())
    there.root.parent.mkdir()
    used.root.rename(there.root)
    said = relocate(there)
    assert said == (
        f"the store was moved from {used.root}: MLflow's files are now looked for in {there.root}"
    )
    model, total, note, new = used_elsewhere(there)
    assert model.startswith(str(there.root))
    assert total == pytest.approx(2.0)
    assert note.endswith("/note.txt kept")
    assert new.startswith(str(there.artifacts))
    assert not used.root.exists()


def test_a_store_that_is_where_it_was_is_not_written(used: Store) -> None:
    before = content(used.root, ".lock")
    assert relocate(used) is None
    assert content(used.root, ".lock") == before


def test_it_is_relocated_once(used: Store, tmp_path: Path) -> None:
    there = Store(used.root.rename(tmp_path / "moved"))
    assert relocate(there)
    before = content(there.root, ".lock")
    assert relocate(there) is None
    assert content(there.root, ".lock") == before


def test_a_copy_leaves_the_old_store_alone(used: Store, tmp_path: Path) -> None:
    copy = Store(tmp_path / "copy")
    shutil.copytree(used.root, copy.root)
    (note,) = used.artifacts.rglob("note.txt")
    note.write_text("of the old store")
    before = content(used.root, ".lock")
    assert relocate(copy)
    model, _, note, new = used_elsewhere(copy)
    assert note.endswith("/note.txt kept")
    assert all(str(used.root) not in told for told in (model, note, new))
    assert content(used.root, ".lock") == before
    assert relocate(used) is None


@pytest.mark.parametrize(
    ("old", "new"), [("a", "a/b"), ("a/b", "a"), ("a", "ab"), ("a/artifacts/b", "c")]
)
def test_one_folder_may_lie_in_the_other(used: Store, tmp_path: Path, old: str, new: str) -> None:
    for place, before in ((tmp_path / old, used.root), (tmp_path / new, tmp_path / old)):
        waiting = before.rename(tmp_path / "waiting")
        shutil.rmtree(tmp_path / "a", ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        waiting.rename(place)
        assert relocate(Store(place))
    found = list(in_store(Store(tmp_path / new)))
    assert len(found) == 5
    assert all(Path(address).is_relative_to(tmp_path / new / "artifacts") for address in found)
    assert sum(Path(address).is_dir() for address in found) == 5


def test_experiments_of_several_old_places_are_all_found(used: Store, tmp_path: Path) -> None:
    second = Tracker(used, "second").experiment_id
    for table, which in (("experiments", f"experiment_id = {second}"), ("logged_models", "true")):
        changed = f"replace(artifact_location, '{used.root}', '/older')"
        sql(used, f"UPDATE {table} SET artifact_location = {changed} WHERE {which}")
    there = Store(used.root.rename(tmp_path / "moved"))
    places = " and ".join(sorted(("/older", str(used.root))))
    assert f"from {places}:" in str(relocate(there))
    assert all(address.startswith(f"{there.artifacts}/") for address in in_store(there))


def test_an_experiment_without_runs_is_found_as_well(store: Store, tmp_path: Path) -> None:
    Tracker(store, "tiny")
    there = Store(store.root.rename(tmp_path / "moved"))
    assert relocate(there)
    assert list(in_store(there)) == [f"{there.artifacts}/tiny"]


def test_file_addresses_are_changed_in_their_own_form(used: Store, tmp_path: Path) -> None:
    old = tmp_path / "an old place"
    used.root.rename(old)
    assert relocate(Store(old))
    for table, column in ADDRESSES[:4]:
        as_uri = f"replace('file://' || {column}, ' ', '%20')"
        sql(
            Store(old), f"UPDATE {table} SET {column} = {as_uri} WHERE {column} LIKE '%/artifacts%'"
        )
    there = Store(old.rename(tmp_path / "a new place"))
    assert relocate(there)
    start = f"file://{tmp_path}/a%20new%20place/artifacts/"
    found = list(in_store(there))
    assert len(found) == 5
    assert all(address.startswith(start) for address in found)
    assert all(Path(url2pathname(urlsplit(address).path)).is_dir() for address in found)


@pytest.mark.parametrize(
    "address",
    [
        "{old}x/artifacts/tiny",
        "s3://bucket{old}/artifacts",
        "/elsewhere/artifacts/tiny",
        "models:/m-1",
        "relative/artifacts/tiny",
    ],
)
def test_other_addresses_stay(used: Store, tmp_path: Path, address: str) -> None:
    address = address.format(old=used.root)
    sql(used, f"UPDATE model_versions SET source = '{address}'")
    sql(used, f"UPDATE runs SET artifact_uri = '{address}' WHERE name = 'a trial'")
    there = Store(used.root.rename(tmp_path / "moved"))
    assert relocate(there)
    with closing(sqlite3.connect(there.root / "mlflow.db")) as connection:
        assert connection.execute("SELECT source FROM model_versions").fetchall() == [(address,)]
        kept = "SELECT artifact_uri FROM runs WHERE name = 'a trial'"
        assert connection.execute(kept).fetchall() == [(address,)]


def test_somebody_elses_experiment_stays_where_its_owner_put_it(
    used: Store, tmp_path: Path
) -> None:
    client = Tracker(used, "tiny").client
    theirs = client.create_experiment("theirs", artifact_location="/data/artifacts/theirs")
    client.create_run(theirs)
    there = Store(used.root.rename(tmp_path / "moved"))
    assert "/data" not in str(relocate(there))
    assert sum(address.startswith("/data/artifacts/theirs") for address in addresses(there)) == 2


def test_a_source_that_is_a_path_moves_along(used: Store, tmp_path: Path) -> None:
    sql(used, f"UPDATE model_versions SET source = '{used.artifacts}/tiny/models/m'")
    there = Store(used.root.rename(tmp_path / "moved"))
    assert relocate(there)
    assert f"{there.artifacts}/tiny/models/m" in addresses(there)


def test_all_addresses_change_or_none(used: Store, tmp_path: Path) -> None:
    sql(
        used,
        "CREATE TRIGGER stop BEFORE UPDATE OF storage_location ON model_versions "
        "BEGIN SELECT RAISE(ABORT, 'stopped here'); END",
    )
    before = addresses(used)
    there = Store(used.root.rename(tmp_path / "moved"))
    with pytest.raises(StoreError, match=r"cannot be changed to .*moved \(stopped here\); "):
        relocate(there)
    assert addresses(there) == before
    sql(there, "DROP TRIGGER stop")
    assert relocate(there)
    assert all(address.startswith(f"{there.artifacts}/") for address in in_store(there))


@pytest.mark.parametrize("tracking", [None, "http://127.0.0.1:1"])
def test_without_a_database_of_its_own_there_is_nothing_to_do(
    tmp_path: Path, tracking: str | None
) -> None:
    root = tmp_path / "absent"
    assert relocate(Store(root, tracking=tracking)) is None
    assert not root.exists()


@pytest.fixture
def shared(used: Store, tmp_path: Path) -> str:
    """The address of that store's tracking database, which is elsewhere."""
    (used.root / "mlflow.db").rename(tmp_path / "shared.db")
    return f"sqlite:///{tmp_path / 'shared.db'}"


def test_a_tracking_database_belongs_to_one_store(used: Store, shared: str, tmp_path: Path) -> None:
    """Another would log into the first one's folder, and moving that would break both."""
    assert Tracker(Store(used.root, tracking=shared), "tiny").run_of("abc-00000")
    second = Store(tmp_path / "second", tracking=shared)
    before = content(tmp_path, ".lock")
    for experiment in ("tiny", "of its own"):
        with pytest.raises(StoreError) as refused:
            Tracker(second, experiment)
        assert str(refused.value) == (
            f"tracking address (MLFLOW_TRACKING_URI) is the database of the store {used.root}; "
            f"unset it to track in {second.root}/mlflow.db, or run `mlflow server` with that "
            "database and name its http address."
        )
    assert content(tmp_path, ".lock") == before
    assert Tracker(Store(second.root), "tiny").experiment_id, "the way out"


def test_a_moved_stores_tracking_database_elsewhere_names_its_new_folder(
    used: Store, shared: str, tmp_path: Path
) -> None:
    moved = Store(used.root.rename(tmp_path / "moved"), tracking=shared)
    with pytest.raises(StoreError, match=f"is the database of the store {used.root}; "):
        Tracker(Store(tmp_path / "second", tracking=shared), "tiny")
    assert relocate(moved)
    tracker = Tracker(moved, "tiny")
    run = tracker.client.get_run(tracker.run_of("abc-00000"))
    assert run.info.artifact_uri.startswith(f"{moved.artifacts}/tiny/")
    assert relocate(moved) is None


def test_a_copy_leaves_the_tracking_database_to_the_store_it_was_copied_from(
    used: Store, shared: str, tmp_path: Path
) -> None:
    shutil.copytree(used.root, tmp_path / "copy")
    with pytest.raises(StoreError, match=f"is the database of the store {used.root}; "):
        Tracker(Store(tmp_path / "copy", tracking=shared), "tiny")
    assert relocate(Store(used.root, tracking=shared)) is None
