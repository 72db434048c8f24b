"""A study goes to another store in one file: results, documents and verdicts, no models."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_hpo.analysis.records import of_ledger
from fashion_hpo.analysis.statistics.verdicts import judge
from fashion_hpo.integrity import ledger_file
from fashion_hpo.integrity.ledger_file import Exported, export, restore
from fashion_hpo.running import workers
from fashion_hpo.running.session import open_session
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import all_ledgers, confirmation_of
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training.data import SearchSplits
from tests.conftest import OpenSession
from tests.integrity.test_moving import values, violations_of_all
from tests.plans import design

CopyOfFinished = Callable[[Path], Store]


def ledger_of(store: Store, name: str = "tiny/") -> Ledger:
    return next(ledger for ledger in all_ledgers(store) if ledger.name.startswith(name))


@pytest.fixture
def finished(copy_of_finished: CopyOfFinished, tmp_path: Path) -> Store:
    return copy_of_finished(tmp_path / "finished")


def test_results_documents_and_verdicts_arrive(
    finished: Store, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.zip"
    ledger = ledger_of(finished)
    assert export(finished, ledger, file) == Exported(trials=4, files=8, missing=0)
    assert list(restore(store, file)) == [f"{ledger.name} with 4 trials is in {store.root}"]
    copy = ledger_of(store)
    assert copy.uid == ledger.uid
    before, after = (of_ledger(led, at) for led, at in ((ledger, finished), (copy, store)))
    assert before.trials.equals(after.trials)
    assert before.epochs.equals(after.epochs)
    assert judge(before) == judge(after)  # rests on the logits
    assert violations_of_all(store) == []
    tracker = Tracker(store, "tiny")
    run = str(tracker.run_of(copy.entry(0).attempt.uid))
    names = {item.path for item in tracker.client.list_artifacts(run)}
    assert {"class_scores.csv", "validation_logits.npz"} <= names
    assert tracker.model_of(copy.entry(0).attempt.uid) is None

    assert list(restore(store, file)) == [f"{ledger.name} with 4 trials is in {store.root}"]
    assert of_ledger(ledger_of(store), store).trials.equals(before.trials)
    assert len(tracker.client.search_runs([tracker.experiment_id])) == 5


def test_a_search_takes_its_confirmation_along(
    finished: Store, store: Store, tmp_path: Path
) -> None:
    search = next(ledger for ledger in all_ledgers(finished) if ledger.plan.search is not None)
    export(finished, search, tmp_path / "search.zip")
    list(restore(store, tmp_path / "search.zip"))
    names = {ledger.name for ledger in all_ledgers(store)}
    confirming = confirmation_of(finished, search)
    assert names == {search.name, *([confirming.name] if confirming else [])}


def test_an_interrupted_study_goes_on_where_it_arrives(
    open_here: OpenSession, splits: SearchSplits, tmp_path: Path
) -> None:
    """To the bit, by the same command."""
    session, file = open_here(design()), tmp_path / "tiny.zip"
    list(workers.work(session, max_trials=3))
    export(session.store, session.ledger, file)
    list(workers.work(session))
    elsewhere = Store.at(tmp_path / "elsewhere")
    said = list(restore(elsewhere, file))
    command = "`python -m fashion_hpo.study tiny --budget standard`"
    assert said[1:] == [f"1 point(s) are left; {command} goes on"]
    there = open_session(elsewhere, design(), device="cpu", splits=splits)
    list(workers.work(there))
    assert values(elsewhere) == values(session.store)
    assert len(list(restore(elsewhere, file))) == 1  # the study has gone on: nothing is left
    assert values(elsewhere) == values(session.store)


def test_another_ledger_of_the_same_name_is_left_alone(
    finished: Store, open_here: OpenSession, tmp_path: Path
) -> None:
    session, file = open_here(design()), tmp_path / "tiny.zip"
    export(finished, ledger_of(finished), file)
    with pytest.raises(StoreError, match=r"delete it with `python -m fashion_hpo.delete tiny`"):
        list(restore(session.store, file))
    assert [ledger.uid for ledger in all_ledgers(session.store)] == [session.ledger.uid]


def test_no_running_trial_is_exported(open_here: OpenSession, tmp_path: Path) -> None:
    session = open_here(design())
    events = workers.work(session)
    next(events)
    with pytest.raises(StoreError, match="trial 0 of tiny/standard/r1 is under way"):
        export(session.store, session.ledger, tmp_path / "tiny.zip")
    assert not (tmp_path / "tiny.zip").exists()
    events.close()  # type: ignore[attr-defined]


def test_a_file_of_another_kind_is_not_overwritten(finished: Store, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    with pytest.raises(StoreError, match=r"notes.txt, which is no exported ledger; name a new"):
        export(finished, ledger_of(finished), file)
    assert file.read_text() == "mine"


def test_files_that_are_lost_are_counted(finished: Store, tmp_path: Path) -> None:
    for path in finished.root.rglob("class_scores.csv"):
        path.unlink()
    exported = export(finished, ledger_of(finished), tmp_path / "tiny.zip")
    assert (exported.files, exported.missing) == (6, 2)


@pytest.mark.parametrize("content", [None, b"", b"text", "a folder", "another zip"])
def test_what_is_no_exported_ledger_is_refused(
    content: bytes | str | None, store: Store, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.zip"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "a folder":
        file.mkdir()
    elif content is not None:
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("photo.png", b"")
    with pytest.raises(StoreError, match=r"tiny.zip is no exported ledger; name a file that `py"):
        list(restore(store, file))
    assert all_ledgers(store) == []


def test_an_altered_file_is_refused(finished: Store, store: Store, tmp_path: Path) -> None:
    whole, altered = tmp_path / "whole.zip", tmp_path / "altered.zip"
    export(finished, ledger_of(finished), whole)
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(altered, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content if name == ledger_file.DATABASE else content[:-1])
    with pytest.raises(StoreError, match=r"altered.zip was altered in .*; get the file again"):
        list(restore(store, altered))
    assert all_ledgers(store) == []
