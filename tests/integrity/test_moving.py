"""A store in a folder moves to PostgreSQL and a tracking server, and goes on there."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_hpo.integrity.evidence import Violation
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.integrity.moving import Moved, move
from fashion_hpo.running import workers
from fashion_hpo.running.session import open_session
from fashion_hpo.stores import registry
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.stores.openings import shared_log
from fashion_hpo.stores.tracking import NOTE, Tracker, run_page
from tests.faults.servers import TrackingServer
from tests.images import search_splits
from tests.plans import design

pytest_plugins = ["tests.postgres"]


@pytest.fixture
def store(copy_of_finished: Callable[[Path], Store], tmp_path: Path) -> Store:
    """A finished design and search with a champion, not opened by this process."""
    return copy_of_finished(tmp_path / "store")


def values(store: Store) -> dict[str, tuple[object, ...]]:
    """Outcome, value and curve of each point of the design."""
    (ledger,) = (ledger for ledger in all_ledgers(store) if ledger.plan.name == "tiny")
    return {
        entry.attempt.point: (entry.result.outcome, entry.result.value, len(entry.result.history))
        for entry in ledger.entries()
        if entry.result is not None and entry.result.final
    }


def test_a_finished_store_moves_to_a_database_and_a_server(
    store: Store, database: str, server: TrackingServer
) -> None:
    old = Tracker(store, "tiny")
    ledger = next(ledger for ledger in all_ledgers(store) if ledger.plan.name == "tiny")
    trial = ledger.entry(1).attempt.uid
    study_run, trial_run = str(old.run_of(ledger.uid)), str(old.run_of(trial))
    old.client.set_tag(study_run, NOTE, "what a person wrote")
    old.client.set_tag(trial_run, "a tag of a person", "kept")
    store.openings_log.write_text('{"part": "test", "data_hash": "x"}\n')
    before = values(store)

    address = f"http://127.0.0.1:{server.port}"
    moved = move(store, database, address)
    assert moved == Moved(ledgers=2, trials=6, runs=8, versions=1, taken=[])
    assert values(store) == before

    new = dataclasses.replace(store, storage=database, tracking=address)
    assert values(new) == before
    tracker = Tracker(new, "tiny")
    assert violations_of_all(new) == []
    study_copy = tracker.client.get_run(str(tracker.run_of(ledger.uid)))
    trial_copy = tracker.client.get_run(str(tracker.run_of(trial)))
    original = old.client.get_run(trial_run)
    assert study_copy.data.tags[NOTE] == "what a person wrote"
    assert trial_copy.data.tags["a tag of a person"] == "kept"
    page = run_page(tracker.experiment_id, study_copy.info.run_id)
    assert f"]({page}?" in trial_copy.data.tags[NOTE]
    assert trial_copy.data.params == original.data.params
    assert trial_copy.data.metrics == original.data.metrics
    assert trial_copy.info.end_time == original.info.end_time
    assert trial_copy.data.tags["mlflow.parentRunId"] == study_copy.info.run_id
    files = [item.path for item in tracker.client.list_artifacts(study_copy.info.run_id)]
    assert {"report", "spec.json"} <= set(files)
    assert registry.download_verified(address, registry.CHAMPION_URI).is_dir()

    with shared_log(dataclasses.replace(new, root=store.root.parent / "another host")) as log:
        assert log.read_text() == store.openings_log.read_text()
    with pytest.raises(StoreError, match=r"was moved to postgresql://tester:\*\*\*@"):
        Store.at(store.root)
    with pytest.raises(StoreError, match=r"was moved to http://127\.0"):
        Store.at(store.root, database)


def violations_of_all(store: Store) -> list[Violation]:
    return [
        violation
        for ledger in all_ledgers(store)
        for violation in examine(store, ledger, Tracker(store, ledger.plan.name))
    ]


def test_an_unfinished_study_goes_on_to_the_same_values(
    tmp_path: Path, fresh_databases: Path, database: str
) -> None:
    splits = search_splits()
    stores = [Store.at(tmp_path / name) for name in ("moves", "stays")]
    for store in stores:
        shutil.copytree(fresh_databases, store.root)
    moving, staying = stores
    list(workers.work(open_session(staying, design(), device="cpu", splits=splits)))
    session = open_session(moving, design(), device="cpu", splits=splits)
    list(workers.work(session, max_trials=1))

    assert move(moving, database, None).trials == 4  # one complete, three waiting
    moved = dataclasses.replace(moving, storage=database)
    session = open_session(moved, design(), device="cpu", splits=splits)
    list(workers.work(session))
    assert session.mirror.publish(None, {}, finished=True)
    assert values(moved) == values(staying)
    assert violations_of_all(moved) == []


def test_a_running_trial_is_not_moved(store: Store, database: str) -> None:
    session = open_session(store, design(more_seeds=1), device="cpu", splits=search_splits())
    work = workers.work(session)
    next(work)
    with pytest.raises(StoreError, match="is under way; stop its study first"):
        move(store, database, None)
    work.close()


def test_another_ledger_of_the_same_name_is_not_replaced(
    store: Store, tmp_path: Path, database: str
) -> None:
    other = Store(tmp_path / "other", storage=database)
    open_session(other, design(), device="cpu", splits=search_splits())
    with pytest.raises(StoreError, match="has a ledger tiny/standard/r1 of another store"):
        move(store, database, None)
    assert not store.moved.exists()


def test_two_hosts_count_each_others_openings(tmp_path: Path, database: str) -> None:
    hosts = [Store(tmp_path / name, storage=database) for name in ("one", "two")]
    for number, host in enumerate(hosts * 2):
        with shared_log(host) as log:
            log.parent.mkdir(exist_ok=True)
            present = log.read_text().splitlines() if log.exists() else []
            assert len(present) == number
            with log.open("a") as file:
                file.write('{"part": "test"}\n')  # equal lines are openings of their own
