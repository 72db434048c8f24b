"""`status`: one study or all, as text or JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from fashion_hpo import status, study
from fashion_hpo.stores.layout import Store
from tests.finished import Finished


@pytest.fixture
def folder(done: Finished) -> Path:
    """A store with a finished design and a finished search, of which no study file tells."""
    return done.store.root


def test_without_a_name_every_study_of_the_store_is_shown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main(["--store", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tiny/standard/r1         4 points: 4 complete, 0 running, 0 to go;")
    assert lines[1].startswith(" " * 25 + "dropout 0.5 against 0 by validation accuracy: ")
    assert lines[2].startswith("tiny_search/standard/r1  2 points: 2 complete, 0 running, 0 to go;")
    assert lines[3].startswith(" " * 25 + "Best of 2 trials")


def test_json_has_the_same_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["--json", "--store", str(folder)]) == 0
    design, search = json.loads(capsys.readouterr().out)
    assert (design["study"], design["budget"], design["ledger"]) == (
        "tiny", "standard", "tiny/standard/r1"
    )  # fmt: skip
    assert (design["points"], design["outcomes"], design["to_go"]) == (4, {"complete": 4}, 0)
    assert design["seeds"] == 2
    assert 0 < design["best"] <= 1
    assert search["study"] == "tiny_search"
    assert status.main(["dropout_ablation", "--json", "--store", str(folder)]) == 0
    budgets = json.loads(capsys.readouterr().out)
    assert [(row["budget"], row["outcomes"]) for row in budgets] == [
        ("quick", None), ("standard", None), ("full", None)
    ]  # fmt: skip


def test_an_empty_store_says_how_to_begin(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["--store", str(store.root)]) == 0
    assert "has no study yet; `python -m fashion_hpo.study --list`" in capsys.readouterr().out
    assert study.main(["--list"]) == 0


def test_it_starts_without_torch_and_mlflow(done: Finished) -> None:
    """Importing them takes most of the time of the command's start."""
    code = (
        "import sys; from fashion_hpo import status; status.main(sys.argv[1:]); "
        "print(*sys.modules, file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "--store", str(done.store.root)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "tiny/standard/r1" in ended.stdout
    modules = set(ended.stderr.split())
    assert "optuna" in modules
    assert not {"torch", "mlflow", "plotly"} & modules
