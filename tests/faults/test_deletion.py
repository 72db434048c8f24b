"""kill -9 while a study is deleted: the same command ends it, and other studies stay whole."""

from collections.abc import Callable
from pathlib import Path

from mlflow import MlflowClient

from fashion_hpo.integrity.invariants import examine
from fashion_hpo.integrity.store_invariants import examine_store
from fashion_hpo.stores import registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.tidying.deletion import delete, planned
from fashion_hpo.tidying.garbage import collect, survey
from tests.faults.child import Fault, Moment
from tests.faults.lab import Lab, ended

MOMENTS = [
    Moment("ledger deleted"), Moment("version deleted"), Moment("files of a study deleted"),
    Moment("artifacts deleted", 1), Moment("model deleted", 1), Moment("model deleted", 4),
    Moment("run deleted", 1), Moment("artifacts deleted", 9), Moment("run deleted", 4),
]  # fmt: skip


def delete_tiny(store: Store, fault: Fault | None = None) -> None:
    """What `delete tiny --registered --yes` does, without its printing."""
    if fault is not None:
        fault()
    delete(planned(store, "tiny", registered=True))


def test_a_killed_deletion_is_ended_by_the_same_command(
    lab: Lab,
    whole: bool,
    copy_of_finished: Callable[[Path], Store],
    tmp_path: Path,
) -> None:
    def try_out(moment: Moment) -> None:
        store = copy_of_finished(tmp_path / f"{moment.write} {moment.nth}")
        lab.kill(delete_tiny, store, moment=moment, kind="kill -9 in a deletion")
        (other,) = all_ledgers(store)
        assert not planned(store, "tiny", registered=True).is_empty, "something is left to do"
        assert ended(lab.process(delete_tiny, store)) == 0
        assert planned(store, "tiny", registered=True).is_empty
        assert list((store.artifacts / "tiny").rglob("*.*")) == []
        client = MlflowClient(store.tracking_uri, store.tracking_uri)
        assert not client.search_model_versions(f"name = '{registry.REGISTERED_NAME}'")
        assert examine(store, other, Tracker(store, "tiny_search")) == []
        assert examine_store(store) == []

    for moment in MOMENTS if whole else MOMENTS[1::4]:
        try_out(moment)


COLLECTING = [
    Moment("models given up", 1), Moment("artifacts deleted", 1), Moment("model deleted", 1),
    Moment("models given up", 2), Moment("artifacts deleted", 2),
]  # fmt: skip


def collect_models(store: Store, fault: Fault | None = None) -> None:
    """What `gc --keep-best 1 --yes` does, without its printing."""
    if fault is not None:
        fault()
    collect(store, keep_best=1)


def test_a_killed_gc_is_ended_by_the_same_command(
    lab: Lab,
    whole: bool,
    copy_of_finished: Callable[[Path], Store],
    tmp_path: Path,
) -> None:
    def try_out(moment: Moment) -> None:
        store = copy_of_finished(tmp_path / f"{moment.write} {moment.nth}")
        going = len(survey(store, keep_best=1).garbage)
        lab.kill(collect_models, store, moment=moment, kind="kill -9 in a gc")
        assert survey(store, keep_best=1).garbage, "something is left to do"
        assert ended(lab.process(collect_models, store)) == 0
        assert not survey(store, keep_best=1).garbage
        assert len(list(store.artifacts.glob("*/models/*"))) == 6 - going
        for ledger in all_ledgers(store):
            assert examine(store, ledger, Tracker(store, ledger.plan.name)) == []
        assert examine_store(store) == []

    for moment in COLLECTING if whole else COLLECTING[1::3]:
        try_out(moment)
