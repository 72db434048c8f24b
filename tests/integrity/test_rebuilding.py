"""MLflow's database is made again from the ledgers, whatever became of the old one."""

import os
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution, IntDistribution

from fashion_hpo.design.plan import Plan, points
from fashion_hpo.design.spec import Budget
from fashion_hpo.integrity import rebuilding
from fashion_hpo.integrity.evidence import Violation
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.integrity.store_invariants import examine_store
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.opening import all_ledgers, connect, open_ledger, readable_and_not
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.tracking import Tracker
from tests.forks import at_once
from tests.plans import TINY, design, search

RUNS = {"tiny": 5, "tiny_search": 3}  # with the study's own


@pytest.fixture
def fresh(fresh_databases: Path, tmp_path: Path) -> Store:
    """Without any ledger."""
    shutil.copytree(fresh_databases, tmp_path / "fresh")
    return Store.at(tmp_path / "fresh")


@pytest.fixture
def store(copy_of_finished: Callable[[Path], Store], tmp_path: Path) -> Store:
    """Done, and not opened by this process: what it had open would be the old database."""
    return copy_of_finished(tmp_path / "store")


def examined(store: Store) -> list[Violation]:
    found = examine_store(store)
    for ledger in all_ledgers(store):
        found += examine(store, ledger, Tracker(store, ledger.plan.name))
    return found


def runs(database: Path) -> dict[str, int]:
    """How many there are in each experiment, read without MLflow."""
    query = """SELECT experiments.name, count(*) FROM runs
               JOIN experiments USING (experiment_id) GROUP BY experiments.name"""
    with closing(sqlite3.connect(database)) as connection:
        return dict(connection.execute(query).fetchall())


def garble(database: Path) -> None:
    database.write_bytes(b"garbage" * 10_000)


@pytest.mark.parametrize("damage", [Path.unlink, garble])
def test_a_lost_mirror_is_made_again(store: Store, damage: Callable[[Path], None]) -> None:
    damage(store.root / "mlflow.db")
    assert [v.invariant for v in examine_store(store)] == ["database"]
    made = rebuilding.rebuild(store)
    assert (made.ledgers, made.runs, len(made.found), made.lost) == (2, 6, 6, [])
    assert (made.aside is None) == (damage is Path.unlink)
    assert examined(store) == []
    assert runs(store.root / "mlflow.db") == RUNS
    assert list((store.root / "trials").iterdir()) == []
    assert not (store.root / ".rebuilding").exists()
    assert not (store.root / ".found").exists()


def test_the_old_database_is_kept_and_its_files_stay(store: Store) -> None:
    before = (store.root / "mlflow.db").read_bytes()
    files = {path for path in store.artifacts.rglob("*") if path.is_file()}
    made = rebuilding.rebuild(store)
    assert made.aside is not None
    assert made.aside.read_bytes() == before
    assert files <= set(store.artifacts.rglob("*"))
    tracker = Tracker(store, "tiny")
    run = tracker.client.get_run(str(tracker.run_of(all_ledgers(store)[0].uid)))
    assert run.data.tags["fashion_hpo.rebuilt"].endswith(" UTC")
    assert tracker.client.search_registered_models() == [], "versions are in no ledger"


def test_done_twice_it_is_the_same(store: Store) -> None:
    at_once(rebuilding.rebuild, (store,))  # in a process that lets go of what it opens
    rebuilding.rebuild(store)
    assert runs(store.root / "mlflow.db") == RUNS
    assert examined(store) == []


def test_a_model_that_is_nowhere_is_named_and_its_other_files_come_back(store: Store) -> None:
    first = all_ledgers(store)[0].entries()[0]
    assert first.result is not None
    model = Tracker(store, "tiny").model_of(first.attempt.uid)
    folder = next(path for path in store.artifacts.rglob(str(model)) if path.is_dir())
    shutil.rmtree(folder)
    os.replace(store.root, moved := store.root.with_name("moved"))  # not open in this process
    store = Store.at(moved)
    relocate(store)
    made = rebuilding.rebuild(store)
    assert made.lost == [first.attempt.uid]
    assert len(made.found) == 5
    (found,) = examined(store)
    assert str(found) == f"one model: {first.attempt.uid} has 0 models, not 1"


def test_points_still_to_come_stay_so_and_a_dead_trial_is_closed(store: Store) -> None:
    ledger = all_ledgers(store)[0]
    ledger = open_ledger(store, design(more_seeds=1), ledger.data_hash, threads=1)
    assert ledger.claim() is not None
    rebuilding.rebuild(store)
    assert examined(store) == []
    tracker = Tracker(store, "tiny")
    run = tracker.client.get_run(str(tracker.run_of(ledger.uid)))
    assert run.info.status == "SCHEDULED"
    assert [e.state for e in ledger.entries()].count("WAITING") == 2


def test_it_is_refused_while_a_trial_is_under_way(store: Store) -> None:
    ledger = all_ledgers(store)[0]
    ledger = open_ledger(store, design(more_seeds=1), ledger.data_hash, threads=1)
    attempt = ledger.claim()
    assert attempt is not None
    with store.trial_lock(attempt.uid), pytest.raises(StoreError) as error:
        rebuilding.rebuild(store)
    assert str(error.value) == (
        f"trial {attempt.number} of tiny/standard/r1 is under way; stop its study first."
    )
    assert not list(store.root.glob("mlflow.db.*"))


def test_tracking_elsewhere_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="tracking store elsewhere"):
        rebuilding.rebuild(Store(store.root, tracking="http://localhost:1"))


def test_without_a_ledger_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no ledger to rebuild from"):
        rebuilding.rebuild(Store.at(tmp_path))


@pytest.mark.parametrize(
    "plan",
    [
        design(),
        design(seeds=1, budget="quick", scientific={"architecture": ("cnn", "simple_cnn")},
               base=TINY.replace(architecture_options={}), claims=[], seed=7),
        design(nuisance={"learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
                         "batch_size": IntDistribution(10, 50, step=10)}, nuisance_points=3),
        search(trials=7, pruner="median", sampler="random"),
        search(defaults=True, plateau=3),
        search(pruner="none", objectives=("val_accuracy", "latency")),
        # Ranges that reach beyond what a budget's own base config allows:
        design(nuisance={"batch_size": IntDistribution(10, 400, log=True)}, nuisance_points=1,
               base=TINY.replace(train_images=400), budgets={"standard": Budget(train_images=100)}),
        design(nuisance={"warmup_epochs": FloatDistribution(0.0, 9.0)}, nuisance_points=1,
               base=TINY.replace(epochs=10), budgets={"standard": Budget(epochs=3)}, seed=2),
        search(base=TINY.replace(epochs=10, schedule="constant", final_learning_rate=0.05)),
    ],
)  # fmt: skip
def test_a_plan_is_known_without_its_study_file(fresh: Store, plan: Plan) -> None:
    opened = open_ledger(fresh, plan, "data", threads=1)
    (found,) = all_ledgers(fresh)
    kept = found.plan
    assert (found.name, found.uid, kept.budget) == (opened.name, opened.uid, plan.budget)
    assert (kept.identity(), kept.extent()) == (plan.identity(), plan.extent())
    assert (kept.question, kept.ranges, kept.trials) == (plan.question, plan.ranges, plan.trials)
    if plan.search is None:
        assert points(kept) == points(plan)


def test_a_ledger_of_another_version_is_named(fresh: Store) -> None:
    open_ledger(fresh, design(), "data", threads=1)
    study = optuna.load_study(study_name="tiny/standard/r1", storage=connect(fresh))
    study.set_user_attr("identity", study.user_attrs["identity"].replace("dropout", "dropin"))
    ledgers, (error,) = readable_and_not(fresh)
    assert not ledgers
    assert re.search(r"cannot be read by this version \(.*dropin", str(error))


def test_every_revision_counts(fresh: Store) -> None:
    for revise in (False, True):
        open_ledger(fresh, design(), "data", threads=1, revise=revise)
    assert [each.name for each in all_ledgers(fresh)] == ["tiny/standard/r1", "tiny/standard/r2"]
