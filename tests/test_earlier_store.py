"""A store that an earlier version made: this version opens, resumes, replays, reports, registers.

What it holds and how it was made stands in `earlier_store/README.md`.  Numbers are compared to the
bit where processor and packages are those of then, elsewhere within `TOLERANCE`, because another
processor or package rounds otherwise.
"""

import importlib
import json
import shutil
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from PIL import Image

from fashion_hpo.stores import registry
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training import devices

HERE = Path(__file__).parent / "earlier_store"
TOLERANCE = 0.02  # of a validation loss, nats, after a few hundred steps in float32
EXPECTED: dict[str, Any] = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))


def is_same_machine() -> bool:
    """Whether processor and packages are those that the store was made with."""
    here = devices.choose("cpu", "fp32", 1).describe()["device_name"]
    versions = {name: version(name) for name in EXPECTED["packages"]}
    return bool(here == EXPECTED["processor"] and versions == EXPECTED["packages"])


def outcomes(store: Store) -> dict[str, dict[str, Any]]:
    """Each point's outcome, value and validation losses, by ledger, as `expected.json` has them."""
    return {
        ledger.name: {
            f"{entry.attempt.point} {'promoted' if entry.attempt.promoted else 'first'}": {
                "outcome": entry.result.outcome,
                "value": entry.result.value,
                "val_loss": [epoch["val_loss"] for epoch in entry.result.history],
            }
            for entry in ledger.entries()
            if entry.result is not None and entry.result.final
        }
        for ledger in all_ledgers(store)
    }


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The earlier version's store, moved to the folder of its studies, which is the present one."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(HERE / "studies", tmp_path / "studies")
    with tarfile.open(HERE / "mlruns.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return Store.at(tmp_path / "mlruns")


@pytest.fixture
def run(store: Store, real_data: Path) -> Any:
    """Runs a command as a person types it, in the folder of the studies."""

    def command(line: str, code: int = 0) -> None:
        name, *arguments = line.split()
        assert importlib.import_module(f"fashion_hpo.{name}").main(arguments) == code, line

    return command


def test_what_was_finished_is_read_as_it_was_written(store: Store) -> None:
    found = outcomes(store)
    unfinished = EXPECTED["outcomes"]["kept_unfinished/quick/r1"]
    finished = {k: v for k, v in EXPECTED["outcomes"].items() if k != "kept_unfinished/quick/r1"}
    assert {name: trials for name, trials in found.items() if name in finished} == finished
    assert len(found["kept_unfinished/quick/r1"]) < len(unfinished)


def test_a_stopped_study_goes_on_from_its_checkpoint_to_the_same_numbers(
    store: Store, run: Any
) -> None:
    assert list((store.root / "checkpoints").rglob("96b9aae83b546627.pt"))
    run("study kept_unfinished --budget quick")
    found = outcomes(store)["kept_unfinished/quick/r1"]
    expected = EXPECTED["outcomes"]["kept_unfinished/quick/r1"]
    if is_same_machine():
        assert found == expected
    for point, trial in expected.items():
        assert found[point]["outcome"] == trial["outcome"]
        assert found[point]["val_loss"] == pytest.approx(trial["val_loss"], abs=TOLERANCE)
    run("doctor")


def test_reports_and_status_are_made_again(
    store: Store, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("kept_design", "kept_search"):
        run(f"report {name} --csv")
        run(f"status {name}")
        folder = store.report(f"{name}/quick/r1")
        assert (folder / "report.html").stat().st_size > 10_000
    assert "fresh-seed mean" in capsys.readouterr().out
    run("doctor")


def test_a_trial_is_replayed(store: Store, run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    client = MlflowClient(store.tracking_uri)
    (trial, *_) = client.search_runs(["1"], "tags.`fashion_hpo.kind` = 'trial'")
    run(f"replay {trial.info.run_id}", code=0 if is_same_machine() else 1)
    if is_same_machine():
        assert "equal to the bit: every metric, the weights" in capsys.readouterr().out


def test_its_champion_predicts_and_is_compared_with_a_worse_one(
    store: Store, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (28, 28)).save("black.png")
    run("predict black.png")
    run("register kept_search", code=1)
    assert "against champion version 1" in capsys.readouterr().err
    run("register kept_search --force")
    assert "version 2 is champion" in capsys.readouterr().out
    champion = registry.champion(Tracker(store, "kept_search"))
    assert champion is not None
    assert str(champion.version) == "2"
    openings = [json.loads(line)["part"] for line in store.openings_log.read_text().splitlines()]
    assert openings == ["test", "gate", "test"], "the first by the earlier version"
    run("doctor")
