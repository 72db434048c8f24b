"""Folders whose names mean something in a URL: every file stays in the store, and is found."""

import os
import shutil
from pathlib import Path

import optuna
import pytest
from mlflow.tracking._tracking_service import utils
from sqlalchemy import make_url

from fashion_hpo.stores.addresses import (
    artifact_folder,
    artifact_location,
    sqlite_url,
    ui_address,
)
from fashion_hpo.stores.copying import copy_store
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.opening import connect
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.tracking import Tracker

NAMES = [
    "run 1", "run%201", "100%", "%2F..", "a?b", "a?b..c", "a#b", "a&b=c", "a;b", "a:b", "a@b:c",
    "{b}", "a'b", 'a"b', "$HOME", "-dash", "~tilde", "dot.", "back\\slash", "new\nline", "ünïcode",
    "models:", "file:",
]  # fmt: skip


@pytest.mark.parametrize(
    ("tracking", "pages"),
    [
        ("sqlite:///mlruns/mlflow.db", "http://127.0.0.1:5000"),
        ("http://host:81/path/", "http://host:81/path"),
        ("https://me:se@cret@host", "https://host"),
    ],
)
def test_mlflows_pages_are_at_the_server_or_where_ui_listens(tracking: str, pages: str) -> None:
    assert ui_address(tracking) == pages


@pytest.fixture(autouse=True)
def _new_process() -> None:
    """MLflow remembers where the runs of these ids were before."""
    utils._artifact_repos_cache.clear()


def note_of(tracker: Tracker) -> str:
    """Read the one run's file through MLflow, by the address that its database has."""
    (run,) = tracker.client.search_runs([tracker.experiment_id])
    assert [file.path for file in tracker.client.list_artifacts(run.info.run_id)] == ["note.txt"]
    return Path(tracker.client.download_artifacts(run.info.run_id, "note.txt")).read_text()


def ledgers_of(store: Store) -> list[str]:
    return [study.study_name for study in connect(store).get_all_studies()]


@pytest.mark.parametrize("name", NAMES)
def test_a_store_of_any_name_is_used_moved_and_copied(
    name: str, fresh_databases: Path, tmp_path: Path
) -> None:
    other = NAMES[NAMES.index(name) - 1]
    store = Store.at(tmp_path / name)
    shutil.copytree(fresh_databases, store.root)
    optuna.create_study(storage=connect(store), study_name="tiny")
    tracker = Tracker(store, "tiny")
    run = tracker.client.create_run(tracker.experiment_id, tags={"fashion_hpo.kind": "page"})
    tracker.client.log_text(run.info.run_id, "kept", "note.txt")
    assert note_of(tracker) == "kept"
    moved = Store.at(store.root.rename(tmp_path / other))
    assert relocate(moved)
    assert relocate(moved) is None
    copy = copy_store(moved, tmp_path / f"copy of {name}")
    utils._artifact_repos_cache.clear()
    shutil.rmtree(moved.root)
    assert note_of(Tracker(copy, "tiny")) == "kept"
    assert ledgers_of(copy) == ["tiny"]
    assert [path.name for path in tmp_path.iterdir()] == [copy.root.name]


@pytest.mark.parametrize("name", ["run%201", "ünïcode"])
def test_fresh_databases_are_made_in_a_store_of_any_name(name: str, tmp_path: Path) -> None:
    store = Store.at(tmp_path / name)
    Tracker(store, "tiny")
    connect(store)
    assert {"optuna.db", "mlflow.db"} <= {path.name for path in store.root.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", NAMES)
def test_an_address_is_read_back_as_the_same_path(name: str) -> None:
    path = Path("/tmp") / name / "mlflow.db"
    assert make_url(sqlite_url(path)).database == str(path)
    assert artifact_folder(artifact_location(path)) == path
    assert artifact_folder(path.as_uri()) == path


def test_plain_paths_have_plain_addresses() -> None:
    """Those that databases have had before, so that none is written again."""
    assert sqlite_url(Path("/a b/c+d.db")) == "sqlite:////a b/c+d.db"
    assert artifact_location(Path("/a b/c:d/ü&e")) == "/a b/c:d/ü&e"
    assert artifact_folder("mlflow-artifacts:/1") is None


def test_a_store_is_one_store_by_whatever_path_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "a store"
    root.mkdir()
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    for path in ("a store", "./link", "link/../a store", f"{tmp_path}/link"):
        assert Store.at(Path(path)).root == root
    assert Store.at(Path("~nobody-of-this-name")).root == tmp_path / "~nobody-of-this-name"


@pytest.mark.parametrize("below", ["", "mlruns"])
@pytest.mark.parametrize("target", ["gone", "link"])
def test_a_link_that_leads_nowhere_is_refused(tmp_path: Path, target: str, below: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path / target)
    with pytest.raises(
        StoreError, match=r"the target of the link .*/link does not exist; remove the link, or"
    ):
        Store.at(tmp_path / "link" / below)
    assert not (tmp_path / "gone").exists()


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not UTF-8, which the databases cannot store; rename"):
        Store.at(tmp_path / os.fsdecode(b"\xff"))
