"""`doctor` names what is wrong, mends what it can and says what is left, in its exit code too."""

import json
import os
import shutil
from pathlib import Path

import pytest

from fashion_hpo import doctor
from fashion_hpo.integrity.store_invariants import examine_store
from fashion_hpo.stores.layout import Store
from tests.finished import Finished


def run(done: Finished, *arguments: str) -> int:
    return doctor.main([*arguments, "--store", str(done.store.root)])


def test_a_sound_store_takes_one_line(done: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(done) == 0
    assert capsys.readouterr().out == "2 ledger(s), 6 trials: all invariants hold\n"
    assert run(done, "tiny", "--budget", "standard") == 0
    assert capsys.readouterr().out == "1 ledger(s), 4 trials: all invariants hold\n"


def test_a_violation_is_named_and_mended(
    done: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    done.tracker.client.delete_run(done.run_id())
    assert run(done) == 1
    assert capsys.readouterr().out == (
        f"tiny/standard/r1: one run: {done.uid()} had its run deleted in MLflow\n"
        "to do: mend it with `python -m fashion_hpo.doctor --fix --store "
        f"{done.store.root}`\n1 violation(s), 0 mended, 1 left\n"
    )
    assert run(done, "tiny_search") == 0, "the other study is sound"
    capsys.readouterr()
    assert run(done, "--fix") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"mended: the run of {done.uid()}, deleted in MLflow, was restored",
        "1 violation(s), 1 mended, 0 left",
    ]
    assert run(done) == 0


def test_json_has_each_violation(done: Finished, capsys: pytest.CaptureFixture[str]) -> None:
    done.tracker.client.delete_run(done.run_id())
    assert run(done, "--json") == 1
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert answer["ledgers"] == ["tiny/standard/r1", "tiny_search/standard/r1"]
    assert (
        answer["violations"]
        == answer["left"]
        == [
            {
                "invariant": "one run",
                "where": done.uid(),
                "what": "had its run deleted in MLflow",
                "mendable": True,
            }
        ]
    )
    assert f"--fix --store {done.store.root}`" in answer["to_do"][0]
    assert said.err.endswith("1 violation(s), 0 mended, 1 left\n")


def test_what_cannot_be_mended_is_left_with_what_to_do(
    done: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    (done.model_folder(0) / "data" / "model.pt2").unlink()
    assert run(done, "--fix") == 1
    *_, to_do, closing = capsys.readouterr().out.splitlines()
    assert to_do.startswith("to do: ")
    assert "lost+found" in to_do or "register" in to_do
    assert closing.endswith(" left")


def test_a_damaged_mirror_is_all_that_is_told_until_it_is_rebuilt(
    finished_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished_store, tmp_path / "store")
    database = tmp_path / "store" / "mlflow.db"
    database.write_text("damaged")
    assert doctor.main(["--fix", "--store", str(tmp_path / "store")]) == 1
    told, closing = capsys.readouterr().out.splitlines()
    assert told.startswith("store: database: mlflow.db is damaged (")
    command = f"`python -m fashion_hpo.doctor --rebuild-mlflow --store {tmp_path / 'store'}`"
    assert told.endswith(f": run {command}")
    assert closing == "1 violation(s), 0 mended, 1 left"
    assert database.read_text() == "damaged"
    assert doctor.main(["--rebuild-mlflow", "--store", str(tmp_path / "store")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "mlflow.db was made again: 2 ledgers, 6 runs",
        "models: 6 of 6 were found by their content",
    ]
    assert lines[2].startswith("the old database is kept as mlflow.db.before-")
    assert lines[-1] == "2 ledger(s), 6 trials: all invariants hold"


def test_a_copy_is_a_store_of_its_own(
    done: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(done, "--copy", str(tmp_path / "copy")) == 0
    assert capsys.readouterr().out.endswith(f"was copied to {tmp_path / 'copy'}\n")
    assert examine_store(Store.at(tmp_path / "copy")) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["no_such_study"], "has no such ledger; choose among tiny/standard/r1, tiny_search/"),
        (["tiny", "--budget", "full"], "has no such ledger; choose among tiny/standard/r1, "),
    ],
)
def test_an_unknown_ledger_is_refused(
    done: Finished, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(done, *arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_folder_without_a_store_is_refused_and_stays_empty(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.main(["--store", str(tmp_path / "none")]) == 2
    assert "has no ledgers; run a study first" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
