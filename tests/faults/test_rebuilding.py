"""kill -9 while MLflow's database is made again from the ledgers."""

from collections.abc import Callable
from pathlib import Path

from fashion_hpo.integrity import rebuilding
from fashion_hpo.stores.layout import Store
from tests.faults.child import Fault, Moment
from tests.faults.lab import Lab, ended
from tests.integrity.test_rebuilding import RUNS, examined, runs

MOMENTS = [
    Moment("study run described", 1), Moment("study run described", 2), Moment("params logged", 1),
    Moment("files found again", 2), Moment("model created", 3), Moment("model uploaded", 3),
    Moment("run ended", 6), Moment("old database kept"), Moment("new database in place"),
]  # fmt: skip


def rebuild(store: Store, fault: Fault | None = None) -> None:
    """What `doctor --rebuild-mlflow` does, without its printing."""
    if fault is not None:
        fault()
    made = rebuilding.rebuild(store)
    assert (made.runs, made.lost) == (6, [])


def test_killed_in_the_middle_it_leaves_one_of_both_and_the_next_ends_well(
    lab: Lab,
    whole: bool,
    copy_of_finished: Callable[[Path], Store],
    tmp_path: Path,
) -> None:
    def try_out(moment: Moment) -> None:
        store = copy_of_finished(tmp_path / f"{moment.write} {moment.nth}")
        lab.kill(rebuild, store, moment=moment, kind="kill -9 in a rebuild")
        assert runs(store.root / "mlflow.db") == RUNS, "the old or the new, and whole"
        assert ended(lab.process(rebuild, store)) == 0
        assert runs(store.root / "mlflow.db") == RUNS
        assert examined(store) == []
        assert list((store.root / "trials").iterdir()) == []
        kept = store.root.glob("mlflow.db.before-*")
        assert {tuple(runs(path).items()) for path in kept} == {tuple(RUNS.items())}

    for moment in MOMENTS if whole else MOMENTS[1::4]:
        try_out(moment)
