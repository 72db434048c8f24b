"""One ledger, trial, version, model or file that cannot be read is named; the others go on."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from fashion_hpo import doctor, status
from fashion_hpo.analysis import records
from fashion_hpo.analysis.findings import NOT_RUN, gather
from fashion_hpo.design.plan import Plan
from fashion_hpo.replaying import replay
from fashion_hpo.stores.kept import UnreadableLedgerError
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import (
    connect,
    ledger_of_trial,
    open_ledger,
    readable_and_not,
)
from fashion_hpo.stores.registry import MANIFEST, REGISTERED_NAME
from fashion_hpo.stores.tracking import Tracker
from tests.finished import Finished, finished
from tests.plans import design
from tests.stores.test_ledger import finish
from tests.stores.test_samplers import run_one


@pytest.fixture
def done(finished_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finished:
    monkeypatch.chdir(tmp_path)
    return finished(finished_store, tmp_path / "mlruns")


@dataclass(frozen=True)
class Harmed:
    """A ledger with one trial, and the ways in which other programs could change it."""

    store: Store
    ledger: Ledger

    def execute(self, statement: str, *values: str) -> None:
        with closing(sqlite3.connect(self.store.root / "optuna.db")) as database, database:
            assert database.execute(statement, values).rowcount >= 1

    def set(self, name: str, text: str) -> None:
        """An attribute of the ledger."""
        self.execute(
            "UPDATE study_user_attributes SET value_json = ? WHERE key = ? AND study_id = "
            "(SELECT study_id FROM studies WHERE study_name = ?)",
            *(text, name, self.ledger.name),
        )

    def set_of_trial(self, name: str, change: Callable[[Any], Any]) -> None:
        """An attribute of its first trial."""
        storage = connect(self.store)
        trial = optuna.load_study(study_name=self.ledger.name, storage=storage).trials[0]
        self.execute(
            "UPDATE trial_user_attributes SET value_json = ? WHERE key = ? AND trial_id = ?",
            *(json.dumps(change(trial.user_attrs[name])), name, str(trial._trial_id)),
        )

    def identity(self, **changes: Any) -> None:
        kept = json.loads(self.ledger.attributes["identity"])
        self.set("identity", json.dumps(json.dumps({**kept, **changes})))

    def base(self, **changes: Any) -> None:
        kept = json.loads(self.ledger.attributes["identity"])["base"]
        self.identity(base={**kept, **changes})

    def extent(self, **changes: Any) -> None:
        self.set("extent", json.dumps({**self.ledger.attributes["extent"], **changes}))


HARMS: list[Callable[[Harmed], None]] = [
    lambda bad: bad.base(batch_size=10**9),
    lambda bad: bad.base(colour="red"),
    lambda bad: bad.set("identity", '"{"'),
    lambda bad: bad.set("identity", "{"),
    lambda bad: bad.set("identity", '"{}"'),
    lambda bad: bad.identity(ranges={"dropout": {"name": "NormalDistribution"}}),
    lambda bad: bad.set("extent", '"all"'),
    lambda bad: bad.set("extent", "{}"),
    lambda bad: bad.extent(scientific={"dropout": [0.0, "much"]}),
    lambda bad: bad.extent(seeds="two"),
    lambda bad: bad.set_of_trial("config", lambda config: {**config, "colour": "red"}),
    lambda bad: bad.set_of_trial("config", lambda config: {**config, "dropout": 7}),
    lambda bad: bad.set_of_trial("config", str),
    lambda bad: bad.set_of_trial("result", lambda result: {**result, "colour": "red"}),
    lambda bad: bad.set_of_trial("result", str),
    lambda bad: bad.set_of_trial("result", lambda result: {**result, "history": [{"loss": 1.0}]}),
]
OF_CURVES = 15  # which only those read who show them
FROM_ITS_FILE = (5, 8, 9)  # ranges, levels and seeds: a study that has a file is read with those


def harm(store: Store, plan: Plan, number: int) -> Ledger:
    """A ledger with a trial and a checkpoint, which then cannot be read any more."""
    ledger = open_ledger(store, plan, "data", threads=1)
    finish(ledger, run_one(ledger))
    path = store.checkpoint(ledger.uid, "point")
    path.parent.mkdir(parents=True)
    path.touch()
    HARMS[number](Harmed(store, ledger))
    return ledger


def delete_a_run(store: Store) -> str:
    """Something that can be mended, in a sound study: its trial's uid."""
    tracker = Tracker(store, "tiny_search")
    (found, *_) = tracker.client.search_runs(
        [tracker.experiment_id], "tags.`fashion_hpo.kind` = 'trial'"
    )
    tracker.client.delete_run(found.info.run_id)
    return str(found.data.tags["fashion_hpo.uid"])


def test_ledgers_that_cannot_be_read_hide_no_other(
    done: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"bad_{number}" for number in range(len(HARMS))]
    bad = [
        harm(done.store, replace(design(), name=name), number) for number, name in enumerate(names)
    ]
    ledgers, errors = readable_and_not(done.store)
    assert {each.plan.name for each in ledgers} == {"tiny", "tiny_search"}
    assert {each.name for each in errors} == {each.name for each in bad}
    assert {each.uid for each in errors} - {None} <= {each.uid for each in bad}
    uid = delete_a_run(done.store)
    assert doctor.main(["--fix"]) == 1
    told = capsys.readouterr().out
    for ledger in bad:
        assert f"store: ledger: {ledger.name} cannot be read (" in told
        assert done.store.checkpoint(ledger.uid, "point").exists(), "it is no stray"
    assert f"mended: the run of {uid}, deleted in MLflow, was restored" in told
    assert told.count("to do: ") == 1
    assert replay.find(done.store, done.run_id()).ledger.uid == done.ledger.uid
    assert ledger_of_trial(done.store, "none") is None
    for ledger in (bad[0], bad[-1]):
        with pytest.raises(UnreadableLedgerError, match=f"ledger {ledger.name} cannot be read"):
            ledger_of_trial(done.store, f"{ledger.uid}-00000")
    assert doctor.main(["bad_3"]) == 1
    open_ledger(done.store, replace(design(), name="another"), "data", threads=1)


def test_mlflow_is_rebuilt_without_a_ledger_that_cannot_be_read(
    done: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    harm(done.store, replace(design(), name="bad"), 3)
    assert doctor.main(["--rebuild-mlflow"]) == 1
    told = capsys.readouterr().out
    assert "mlflow.db was made again: 2 ledgers, 6 runs" in told
    assert "without the ledger bad/standard/r1 (" in told


def test_without_its_id_a_ledgers_files_are_no_strays(
    done: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = harm(done.store, replace(design(), name="bad"), 3)
    Harmed(done.store, ledger).set("uid", "[]")
    assert doctor.main(["--fix"]) == 1
    assert "bad/standard/r1 cannot be read (" in capsys.readouterr().out
    assert done.store.checkpoint(ledger.uid, "point").exists()


def folder_for(path: Path) -> None:
    """A folder where a file was."""
    path.unlink()
    path.mkdir()


def link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


def test_items_that_cannot_be_read_hide_no_other(
    done: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    done.tracker.client.set_model_version_tag(REGISTERED_NAME, "1", MANIFEST, "[1]")
    for number, spoil in enumerate((folder_for, link_to_nothing)):
        checkpoint = done.store.checkpoint(done.ledger.uid, done.entry(number).attempt.point)
        checkpoint.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.touch()
        logits = done.store.logits(done.uid(number))
        for path in (checkpoint, logits, done.model_folder(number) / "data" / "model.pt2"):
            spoil(path)
    model = done.model_folder(2)
    shutil.rmtree(model)
    model.touch()
    uid = delete_a_run(done.store)
    assert doctor.main([]) == 1
    told = capsys.readouterr().out
    for number in (0, 1):
        point, its_uid = done.entry(number).attempt.point, done.uid(number)
        assert f"checkpoint: checkpoints/{done.ledger.uid}/{point}.pt" in told
        assert f"logits: logits/{done.ledger.uid}/{its_uid}.npz" in told
        assert f"model: {its_uid} has a model whose data/model.pt2 is missing" in told
    assert f"model: {done.uid(2)} has a model whose MLmodel is missing" in told
    assert f"version: {REGISTERED_NAME}/1 has no manifest of its files" in told
    assert f"one run: {uid} had its run deleted in MLflow" in told
    assert doctor.main(["--fix"]) == 1
    assert f"mended: the run of {uid}, deleted in MLflow" in capsys.readouterr().out
    assert doctor.main(["--rebuild-mlflow"]) == 1
    assert "mlflow.db was made again: 2 ledgers, 6 runs" in capsys.readouterr().out


STUDY = '''"""Does it?"""
from fashion_hpo.design.spec import Claim, StudySpec, levels
from tests.plans import BUDGETS, TINY

STUDY = StudySpec(
    base=TINY, scientific={{"dropout": levels(0.0, 0.5)}}, seeds=2, budgets=BUDGETS,
    claims=[Claim(id="T.{name}", text="It does.", measure="val_accuracy", direction="lower",
                  contrast=("dropout", 0.0, 0.5))],
)
'''


@pytest.mark.parametrize("number", range(len(HARMS)))
def test_a_budget_that_cannot_be_read_hides_no_other(
    store: Store,
    tmp_path: Path,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    for name in ("tiny", "other"):
        (tmp_path / "studies" / f"{name}.py").write_text(STUDY.format(name=name))
    open_ledger(store, design(budget="quick"), "data", threads=1)
    harm(store, design(), number)
    here = ["--store", str(store.root)]
    assert status.main(["tiny", *here]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("  quick     4 points: none done, 0 running, 4 to go")
    if number not in (*FROM_ITS_FILE, OF_CURVES):
        assert lines[2].startswith("  standard  cannot be read by this version (")
    assert records.find_ledger(store, "tiny", "quick").plan.budget == "quick"
    findings, unreadable = gather(store)
    assert [each.verdict.word for each in findings if each.study == "other"] == [NOT_RUN]
    if number not in FROM_ITS_FILE:
        assert [line for line in unreadable if "tiny/standard/r1 cannot be read" in line]
    if number not in (*FROM_ITS_FILE, OF_CURVES):
        with pytest.raises(ValueError, match="name another budget with --budget"):
            records.find_ledger(store, "tiny")
