"""Stores that are locked, full, moved, copied, of another schema, or used for another study."""

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution

from fashion_hpo.design.plan import Plan
from fashion_hpo.stores.copying import copy_store
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.opening import open_ledger
from fashion_hpo.stores.tracking import Tracker
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, ended, seeded, wait_until
from tests.folders import content
from tests.plans import TINY, design, search
from tests.stores.test_robustness import LOCK_SECONDS, locked
from tests.stores.test_schema import OLDER, sql

PLAN = design(seeds=1)


@pytest.fixture
def half_done(lab: Lab) -> Store:
    """One of two points done, the other's attempt dead."""
    store = lab.store()
    assert lab.killed(store, PLAN, Moment("model written", 2), "kill -9 before another fault")
    return store


@pytest.mark.parametrize("database", ["optuna.db", "mlflow.db"])
def test_a_lock_held_for_long_is_waited_for(lab: Lab, database: str, tmp_path: Path) -> None:
    store, reached = lab.store(), tmp_path / "reached"
    worker = lab.start(store, PLAN, partial(child.marked_at, Moment(".pt file written"), reached))
    wait_until(reached.exists)
    with locked(store.root / database):
        lab.inject(f"a lock on {database} held {LOCK_SECONDS} s")
        reached.with_suffix(".go").touch()
        assert worker.exitcode is None
    assert ended(worker) == 0
    lab.check(store, PLAN)


def test_a_finished_study_run_again_changes_nothing(lab: Lab) -> None:
    store = lab.store()
    assert lab.run(store, PLAN) == 0
    before = lab.check(store, PLAN).entries()
    lab.inject("a finished study run again")
    assert lab.run(store, PLAN) == 0
    assert lab.check(store, PLAN).entries() == before


def narrower() -> Plan:
    plan = search()
    assert plan.search is not None
    plan.search.space["dropout"].high = 0.4  # type: ignore[index, attr-defined]
    return plan


CHANGES: dict[str, tuple[Plan, Plan]] = {
    "choices": (PLAN, design(seeds=1, scientific={"dropout": (0.0, 0.4)}, claims=[])),
    "range": (search(), narrower()),
    "seed": (PLAN, design(seeds=1, seed=7)),
    "config": (PLAN, design(seeds=1, base=TINY.replace(epochs=4))),
    "kind": (PLAN, design(seeds=1, nuisance={"weight_decay": FloatDistribution(0.0, 0.1)})),
}


@pytest.mark.parametrize("changed", CHANGES)
def test_a_changed_study_is_refused_and_the_old_one_goes_on(lab: Lab, changed: str) -> None:
    plan, other = CHANGES[changed]
    store = lab.store()
    lab.killed(store, plan, Moment("result committed"), "kill -9 before another fault")
    lab.inject(f"changed {changed}")
    with pytest.raises(StoreError, match="holds another spec"):
        open_ledger(store, replace(other, name=plan.name), "synthetic", threads=1)
    lab.check(store, plan, same=plan.search is None)


def test_changed_data_are_refused_and_the_study_goes_on(lab: Lab, half_done: Store) -> None:
    lab.inject("changed data")
    with pytest.raises(StoreError, match="data: fashion-mnist synthetic… → fashion-mnist other…"):
        open_ledger(half_done, PLAN, "other", threads=1)
    lab.check(half_done, PLAN)


def test_a_changed_direction_is_refused(lab: Lab, half_done: Store) -> None:
    lab.inject("changed direction")
    sql(half_done.root / "optuna.db", "UPDATE study_directions SET direction = 'MINIMIZE'")
    with pytest.raises(StoreError, match="direction"):
        open_ledger(half_done, PLAN, "synthetic", threads=1)
    sql(half_done.root / "optuna.db", "UPDATE study_directions SET direction = 'MAXIMIZE'")
    lab.check(half_done, PLAN)


def test_reordered_keys_are_the_same_study(lab: Lab, half_done: Store) -> None:
    lab.inject("reordered keys")
    base = TINY.replace(architecture_options=dict(reversed(TINY.architecture_options.items())))
    lab.check(half_done, design(seeds=1, base=base))


def test_a_deleted_experiment_is_refused_until_it_is_restored(lab: Lab, half_done: Store) -> None:
    tracker = Tracker(half_done, PLAN.name)
    tracker.client.delete_experiment(tracker.experiment_id)
    lab.inject("a soft-deleted experiment")
    assert lab.run(half_done, PLAN) == 1
    tracker.client.restore_experiment(tracker.experiment_id)
    lab.check(half_done, PLAN)


@pytest.mark.parametrize("write", ["epochs logged", "result committed", "model uploaded"])
def test_a_moved_store_goes_on_in_its_new_place(lab: Lab, write: str) -> None:
    store = lab.store()
    assert lab.killed(store, PLAN, Moment(write, 2), "kill -9 before another fault")
    moved = Store.at(Path(shutil.move(store.root, store.root.with_name(f"{store.root.name}-m"))))
    lab.inject("a moved folder")
    lab.check(moved, PLAN)
    assert not store.root.exists()


@pytest.mark.parametrize("study", range(2))
def test_store_and_copy_made_while_in_use_both_end_well(lab: Lab, study: int) -> None:
    store, plan = lab.store(), design(seeds=2)
    worker = lab.start(store, plan)
    worker.join(seeded(f"copy {study}").uniform(0.3, 1.5))
    copy = copy_store(store, store.root.with_name(f"{store.root.name}-copy"))
    lab.inject("both databases copied while in use")
    assert ended(worker) == 0
    lab.check(store, plan)
    lab.check(copy, plan)


def test_a_ledger_put_back_from_an_older_copy(lab: Lab, tmp_path: Path) -> None:
    """MLflow then knows runs of attempts that the ledger does not: they are set aside."""
    store, reached, kept = lab.store(), tmp_path / "reached", tmp_path / "optuna.db"
    worker = lab.start(store, PLAN, partial(child.marked_at, Moment("point enqueued", 2), reached))
    wait_until(reached.exists)
    with closing(sqlite3.connect(store.root / "optuna.db")) as there, \
            closing(sqlite3.connect(kept)) as copy:  # fmt: skip
        there.backup(copy)
    reached.with_suffix(".go").touch()
    assert ended(worker) == 0
    for path in store.root.glob("optuna.db*"):
        path.unlink()
    shutil.copy(kept, store.root / "optuna.db")
    lab.inject("a ledger put back from an older copy")
    lab.check(store, PLAN)


@pytest.mark.parametrize("name", OLDER)
def test_another_schema_is_refused_with_its_bytes_as_they_were(
    lab: Lab, half_done: Store, name: str
) -> None:
    kept = half_done.root / f"kept-{name}"
    for database_file in half_done.root.glob("*.db"):  # a killed process left their logs
        with closing(sqlite3.connect(database_file)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(half_done.root / name, kept)
    for version in ("0" * 12, "f" * 12):
        sql(half_done.root / name, f"UPDATE alembic_version SET version_num = '{version}'")
        before = content(half_done.root, "-shm", "lock")
        assert lab.run(half_done, PLAN) == 1
        lab.inject(f"another schema of {name}")
        assert content(half_done.root, "-shm", "lock") == before
    for path in half_done.root.glob(f"{name}*"):
        path.unlink()
    kept.rename(half_done.root / name)
    lab.check(half_done, PLAN)


@contextmanager
def small_disk(store: Store, megabytes: float) -> Iterator[Callable[[float], None]]:
    """The store on a disk of its own, that the yielded function makes larger."""

    def mount(options: str) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(store.root)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    kept = store.root.with_name(f"{store.root.name}-kept")
    shutil.copytree(store.root, kept)
    made = mount(f"size={int(megabytes * 1024)}k")
    if made.returncode:
        pytest.skip(f"a small disk cannot be made here: {made.stderr.strip()}")
    try:
        shutil.copytree(kept, store.root, dirs_exist_ok=True)
        yield lambda size: mount(f"remount,size={int(size * 1024)}k") and None
    finally:
        subprocess.run(["umount", "--lazy", str(store.root)], check=True)


@pytest.mark.parametrize("spare", [0.05, 0.15, 0.3, 0.6, 1.2])
def test_a_full_disk_stops_the_study_and_spoils_nothing(lab: Lab, spare: float) -> None:
    store, plan = lab.store(), design(seeds=4)
    size = sum(path.stat().st_size for path in store.root.rglob("*")) / 2**20
    with small_disk(store, size + spare) as enlarge:
        code = lab.run(store, plan)
        assert code != 0
        lab.inject("a full disk")
        enlarge(100)
        lab.check(store, plan)


def test_a_read_only_store_is_refused_and_left_as_it_is(lab: Lab) -> None:
    store = lab.store()
    with small_disk(store, 100):
        assert lab.killed(store, PLAN, Moment("result committed"), "kill -9 before another fault")
        subprocess.run(["mount", "-o", "remount,ro", str(store.root)], check=True)
        before = content(store.root, "-shm", "lock")
        assert lab.run(store, PLAN) == 1
        lab.inject("a read-only store")
        assert content(store.root, "-shm", "lock") == before
        subprocess.run(["mount", "-o", "remount,rw", str(store.root)], check=True)
        lab.check(store, PLAN)
