"""Each invariant is broken once in a finished store, named, and mended where it can be."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
import torch
from mlflow.entities import ViewType
from optuna.trial import TrialState, create_trial

from fashion_hpo.integrity.invariants import REMEDIES, examine
from fashion_hpo.integrity.mending import mend, mend_store
from fashion_hpo.integrity.store_invariants import examine_store
from fashion_hpo.running import workers
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session
from fashion_hpo.running.trial import close_unfinished
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Attempt, Result
from fashion_hpo.stores.opening import all_ledgers, connect, open_ledger
from fashion_hpo.stores.registry import CHAMPION, MANIFEST, REGISTERED_NAME
from tests.conftest import OpenSession
from tests.finished import Finished
from tests.integrity.breakages import (
    MENDABLE,
    another_model,
    another_run,
    register_twice,
    study_run,
)
from tests.plans import TINY, design, search


@pytest.fixture
def copy(finished_store: Path, tmp_path: Path) -> Store:
    """The same, not opened yet, with the addresses of the place that it was copied from."""
    shutil.copytree(finished_store, tmp_path / "copy")
    return Store.at(tmp_path / "copy")


def study_of(done: Finished) -> optuna.Study:
    return optuna.load_study(study_name=done.ledger.name, storage=connect(done.store))


def mended(done: Finished) -> list[str]:
    return mend(done.store, done.ledger, done.tracker)


def contents(root: Path) -> set[str]:
    """sha256 of every artifact, report and checkpoint in a store, wherever it is."""
    return {
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith((".", "mlflow.db", "optuna.db", "lock"))
    }


def runs(done: Finished) -> int:
    found = done.tracker.client.search_runs(
        [done.tracker.experiment_id], run_view_type=ViewType.ALL
    )
    return len(found)


def test_in_a_finished_store_all_holds(done: Finished) -> None:
    assert examine_store(done.store) == []
    for ledger in all_ledgers(done.store):
        assert examine(done.store, ledger, type(done.tracker)(done.store, ledger.plan.name)) == []
    assert mended(done) == []


@pytest.mark.parametrize("case", MENDABLE)
def test_what_is_broken_is_named_and_mended(done: Finished, case: str) -> None:
    breaks, invariant = MENDABLE[case]
    breaks(done)
    found = done.examine()
    assert invariant in {violation.invariant for violation in found}
    assert all(violation.mendable for violation in found)
    there, before = contents(done.store.root), runs(done)
    assert mended(done)
    assert done.examine() == []
    assert contents(done.store.root) >= there, "nothing is deleted"
    assert runs(done) >= before


def test_a_champion_stays_one_when_a_double_is_taken_from_it(done: Finished) -> None:
    register_twice(done)
    mended(done)
    champion = done.tracker.client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION)
    first = done.tracker.client.get_model_version(REGISTERED_NAME, "1")
    assert str(champion.version) == "2"
    assert first.tags["fashion_hpo.uid"] == champion.tags["fashion_hpo.uid"] + "-1"


def only_copy_of_logits(done: Finished) -> Path:
    """MLflow's, with the store's own removed."""
    done.store.logits(done.uid()).unlink(missing_ok=True)
    return Path(str(done.run().info.artifact_uri)) / "validation_logits.npz"


LOST: dict[str, tuple[Callable[[Finished], Path], str]] = {
    "a file of a run": (only_copy_of_logits, "files"),
    "a model": (lambda d: d.model_folder() / "data" / "model.pt2", "model"),
}  # fmt: skip


@pytest.mark.parametrize("change", ["missing", "altered"])
@pytest.mark.parametrize("what", LOST)
def test_a_lost_file_is_named_and_comes_back_by_its_content(
    done: Finished, tmp_path: Path, what: str, change: str
) -> None:
    path_of, invariant = LOST[what]
    path = path_of(done)
    copy = Path(shutil.copy(path, tmp_path / "anything"))
    if change == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    (found,) = [v for v in done.examine() if v.invariant not in ("version", "logits")]
    assert found.invariant == invariant
    assert found.where == done.uid()
    assert found.what.endswith(f"{path.name} is {change}")
    before = runs(done)
    assert mended(done) == []
    assert found in done.examine(), "what is nowhere cannot come back"
    assert runs(done) == before
    assert "lost+found" in REMEDIES[found.invariant]

    (done.store.root / "lost+found").mkdir()
    shutil.copy(copy, done.store.root / "lost+found" / "renamed")
    assert mended(done)
    assert {v.invariant for v in done.examine()} <= {"version"}, "versions keep the model they had"


def test_a_registered_model_that_was_altered_is_named(done: Finished) -> None:
    champion = done.tracker.client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION)
    source = str(champion.source).removeprefix("models:/")
    folder = Path(str(done.tracker.client.get_logged_model(source).artifact_location))
    (folder / "data" / "model.pt2").write_text("another")
    found = [v for v in done.examine() if v.invariant == "version"]
    assert [str(v) for v in found] == [
        f"version: {REGISTERED_NAME}/1 has a model whose data/model.pt2 is altered"
    ]
    assert not found[0].mendable
    assert "register" in REMEDIES["version"]


def test_a_version_of_a_model_that_was_deleted_is_named(done: Finished) -> None:
    champion = done.tracker.client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION)
    done.tracker.client.delete_logged_model(str(champion.source).removeprefix("models:/"))
    assert "version" in {v.invariant for v in done.examine()}


def test_a_version_without_manifest_is_named(done: Finished) -> None:
    done.tracker.client.delete_model_version_tag(REGISTERED_NAME, "1", MANIFEST)
    assert [v.what for v in done.examine()] == ["has no manifest of its files"]


def test_what_was_set_aside_is_no_violation(done: Finished) -> None:
    uid = f"{done.ledger.uid}-00099"
    another_run(done, uid)
    another_model(done, uid)
    done.tracker.set_aside(uid)
    assert done.examine() == []


@pytest.fixture
def extended(done: Finished) -> Finished:
    """With two more points, which nobody has begun."""
    plan = design(more_seeds=1)
    ledger = open_ledger(done.store, plan, done.ledger.data_hash, threads=1)
    return Finished(done.store, ledger, done.tracker)


def test_points_still_to_come_are_no_violation(extended: Finished) -> None:
    assert extended.examine() == []
    attempt = extended.ledger.claim()
    assert attempt is not None
    with extended.store.trial_lock(attempt.uid):
        assert extended.examine() == [], "one waits, one is under way"


def test_a_result_that_is_being_mirrored_is_no_violation(extended: Finished) -> None:
    attempt = extended.ledger.claim()
    assert attempt is not None
    with extended.store.trial_lock(attempt.uid):
        extended.ledger.close(attempt, Result("failed", reason="for a test"))
        assert extended.examine() == []
    assert {v.invariant for v in extended.examine()} == {"one run", "leftover"}
    mended(extended)
    assert extended.examine() == []


def test_a_trial_whose_process_died_is_named_and_waits_again(extended: Finished) -> None:
    attempt = extended.ledger.claim()
    assert attempt is not None
    (found,) = extended.examine()
    assert (found.invariant, found.where) == ("alive", attempt.uid)
    assert mended(extended)
    assert extended.examine() == []
    assert extended.tracker.client.get_run(study_run(extended)).info.status == "SCHEDULED"
    again = extended.ledger.entries()[-1]
    assert (again.state, again.attempt.point) == ("WAITING", attempt.point)


def test_a_point_that_nobody_waits_for_is_named_and_waits_again(extended: Finished) -> None:
    attempt = extended.ledger.claim()
    assert attempt is not None
    extended.ledger.close(attempt, Result("died"))
    assert {v.invariant for v in extended.examine()} == {"not lost", "one run"}
    mended(extended)
    assert extended.examine() == []


def waiting_again(done: Finished, number: int) -> None:
    """The same point once more, as nothing in the program does it."""
    old = study_of(done).trials[number]
    attributes = {k: v for k, v in old.user_attrs.items() if k != "result"}
    study_of(done).add_trial(create_trial(state=TrialState.WAITING, user_attrs=attributes))


def test_a_point_that_waits_twice_is_named_and_waits_once(extended: Finished) -> None:
    extended.ledger.claim()
    mended(extended)  # both points wait now
    waiting_again(extended, -1)
    (found,) = extended.examine()
    assert (found.invariant, found.what) == ("once", "waits 2 and runs 0 times")
    assert mended(extended)
    assert extended.examine() == []
    waiting = [e.attempt.point for e in extended.ledger.entries() if e.state == "WAITING"]
    assert len(waiting) == len(set(waiting)) == 2


def test_a_point_that_is_done_and_waits_is_named_and_closed(done: Finished) -> None:
    waiting_again(done, 1)
    (found,) = done.examine()
    assert found.what == "waits 1 and runs 0 times, and is done"
    assert mended(done)
    assert done.examine() == []


def add_closed(done: Finished, **attributes: object) -> None:
    """A complete trial like the second, with some attributes changed."""
    old = study_of(done).trials[1]
    changed = {k: v for k, v in {**old.user_attrs, **attributes}.items() if v is not None}
    study_of(done).add_trial(
        create_trial(state=TrialState.COMPLETE, value=old.value, user_attrs=changed)
    )


@pytest.mark.parametrize(
    ("attributes", "invariant", "what"),
    [
        ({}, "one outcome", "has 2 outcomes"),
        ({"point": "0123456789abcdef"}, "planned", "is no point of the plan"),
        ({"result": None}, "told", "is COMPLETE, and has no result"),
    ],
)
def test_what_is_wrong_in_the_ledger_itself_is_named_and_left(
    done: Finished, attributes: dict[str, object], invariant: str, what: str
) -> None:
    add_closed(done, **attributes)
    found = [v for v in done.examine() if v.invariant == invariant]
    assert [v.what for v in found] == [what]
    assert not found[0].mendable
    assert invariant in REMEDIES
    mended(done)
    assert [v for v in done.examine() if not v.mendable] == found


def test_no_moment_of_a_running_study_is_a_violation(
    open_here: OpenSession, store: Store, tmp_path: Path
) -> None:
    (tmp_path / "report").mkdir()
    for plan in (design(seeds=1), search(trials=2)):
        session = open_here(plan)
        for event in workers.work(session):
            assert not examine(store, session.ledger, session.tracker) or (
                session.ledger.remaining() == 0
            ), event
        session.mirror.publish(tmp_path / "report", {}, finished=True)
        assert examine(store, session.ledger, session.tracker) == []


def abandoned(session: Session) -> Attempt:
    """An attempt left after its first epoch, as a kill leaves it."""
    events = workers.work(session)
    while not isinstance(event := next(events), workers.EpochDone):
        pass
    events.close()  # type: ignore[attr-defined]
    return event.attempt


def test_every_outcome_there_is_holds(open_here: OpenSession, store: Store) -> None:
    """Diverged, stopped, died and failed: all are mirrored as they came."""
    wild = TINY.replace(optimizer="sgd", weight_decay=1.0, schedule="constant")
    rates = {"learning_rate": (10.0, 0.01, 0.02)}
    session = open_here(design(base=wild, scientific=rates, seeds=1, claims=[]))
    list(workers.work(session, max_trials=1))
    close_unfinished(session, abandoned(session), "stopped", "by hand")
    attempt = abandoned(session)
    (died,) = examine(store, session.ledger, session.tracker)
    assert (died.invariant, died.where) == ("alive", attempt.uid)
    checkpoint = store.checkpoint(session.ledger.uid, attempt.point)
    list(reconcile(session.mirror))
    assert examine(store, session.ledger, session.tracker) == []
    checkpoint.write_text("damaged")
    (damaged,) = examine(store, session.ledger, session.tracker)
    assert damaged.what == "cannot be read (UnpicklingError)"
    list(workers.work(session))
    outcomes = {entry.result.outcome for entry in session.ledger.entries() if entry.result}
    assert outcomes == {"diverged", "stopped", "died", "failed", "complete"}
    found = examine(store, session.ledger, session.tracker)
    assert {v.invariant for v in found} == {"checkpoint", "study run"}
    mend(store, session.ledger, session.tracker)
    assert examine(store, session.ledger, session.tracker) == []
    assert next((store.root / "lost+found").rglob("*.pt")).read_text() == "damaged"


def test_a_checkpoint_of_another_point_is_named(extended: Finished) -> None:
    attempt = extended.ledger.claim()
    assert attempt is not None
    other = json.dumps(extended.entry().attempt.config.to_dict())
    path = extended.store.checkpoint(extended.ledger.uid, attempt.point)
    mended(extended)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"config": other}, path)
    (found,) = extended.examine()
    assert found.what == f"is of point {extended.entry().attempt.point}"


@pytest.mark.parametrize(("field", "names"), [("flip", []), ("dropout", ["run"])])
def test_a_run_may_lack_the_fields_that_came_after_it(
    done: Finished, field: str, names: list[str]
) -> None:
    """Those at their default: a store of an earlier version is whole."""
    with closing(sqlite3.connect(done.store.root / "mlflow.db")) as connection:
        connection.execute(
            "DELETE FROM params WHERE run_uuid = ? AND key = ?", (done.run_id(), field)
        )
        connection.commit()
    assert [violation.invariant for violation in done.examine()] == names


@pytest.mark.parametrize("name", ["mlflow.db", "optuna.db"])
@pytest.mark.parametrize("damage", ["missing", "cut", "no database"])
def test_a_missing_or_damaged_database_is_named(copy: Store, name: str, damage: str) -> None:
    path = copy.root / name
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")  # all is in one file
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        path.write_bytes(b"no database" * 1000)
    (found,) = examine_store(copy)
    assert (found.invariant, found.where) == ("database", name)
    assert ("is missing" if damage == "missing" else "is damaged") in found.what
    assert ("--rebuild-mlflow" in found.what) == (name == "mlflow.db")


def test_a_store_that_was_moved_is_named_and_found_again(copy: Store) -> None:
    found = examine_store(copy)
    assert [(v.invariant, v.where) for v in found] == [
        ("address", "tiny"), ("address", "tiny_search"),
    ]  # fmt: skip
    (told,) = mend_store(copy, found)
    assert told.startswith("the store was moved from ")
    assert examine_store(copy) == []


def test_what_belongs_to_no_ledger_is_named_and_moved(done: Finished) -> None:
    for folder in ("trials/0123456789ab-00000", "checkpoints/0123456789ab"):
        (done.store.root / folder).mkdir(parents=True)
        (done.store.root / folder / "file").write_text(folder)
    found = examine_store(done.store)
    assert [str(v) for v in found] == [
        "leftover: trials/0123456789ab-00000 is of no ledger",
        "leftover: checkpoints/0123456789ab is of no ledger",
    ]
    assert len(mend_store(done.store, found)) == 2
    assert examine_store(done.store) == []
    moved = sorted((done.store.root / "lost+found").rglob("file"))
    assert sorted(path.read_text() for path in moved) == [
        "checkpoints/0123456789ab", "trials/0123456789ab-00000",
    ]  # fmt: skip
