import json
import re
from pathlib import Path

import pytest

from fashion_hpo import status, study
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.terminal import command_line
from fashion_hpo.training import devices
from fashion_hpo.training.data import SearchSplits

SEARCH = '''"""Which dropout is best?"""

from optuna.distributions import FloatDistribution

from fashion_hpo.design.spec import Budget, Search, StudySpec
from tests.plans import TINY

STUDY = StudySpec(
    base=TINY.replace(epochs=1),
    search=Search(
        space={"dropout": FloatDistribution(0.0, 0.5)},
        trials=2, sampler="random", pruner="none", finalists=1, fresh_seeds=2,
    ),
    budgets={"standard": Budget()},
)
'''


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch, splits: SearchSplits, text: str) -> None:
    """Work on synthetic images in a folder whose study tiny_search is this text."""
    for module in ("training.data", "running.session"):
        monkeypatch.setattr(f"fashion_hpo.{module}.load_or_download", lambda *_: splits)
    (folder / "studies").mkdir()
    (folder / "studies" / "tiny_search.py").write_text(text)
    monkeypatch.chdir(folder)


@pytest.mark.parametrize("count", ["0", "-1", "x", "1.5", "", "Auto", "two\nlines"])
def test_a_number_of_workers_that_is_none_is_refused_in_one_sentence(
    count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    with pytest.raises(SystemExit) as ended:
        study.main(["mixup_ablation", f"--workers={count}", "--store", str(store)])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    told = f"error: argument --workers: {count} is not a whole number from 1\n"
    assert said.err.endswith(told)
    assert not store.exists()


@pytest.mark.parametrize("count", ["1", "2", "auto"])
def test_workers_may_be_counted_or_left_to_what_is_fastest(
    count: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = tmp_path / "store"
    command = ["mixup_ablation", "--workers", count, "--dry-run", "--store", str(store)]
    assert study.main(command) == 0
    assert capsys.readouterr().out.endswith("nothing was trained\n")
    assert not store.exists()


def test_missing_data_are_refused_before_workers_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot load them would be replaced by another, for ever."""
    monkeypatch.setattr("multiprocessing.get_context", lambda _: pytest.fail("one was started"))
    for name in command_line.ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    nowhere, store = tmp_path / "nowhere", tmp_path / "store"
    command = ["mixup_ablation", "--workers", "auto", "--device", "cpu", "--data", str(nowhere)]
    assert study.main([*command, "--store", str(store)]) == 2
    assert capsys.readouterr().err.startswith(f"error: data folder {nowhere} ")
    assert not (store / "optuna.db").exists()


@pytest.mark.usefixtures("handlers")
def test_the_same_command_goes_on_from_a_search_to_its_confirmation(
    store: Store,
    splits: SearchSplits,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(tmp_path, monkeypatch, splits, SEARCH)
    at = ["tiny_search", "--store", str(store.root)]
    command = [*at, "--device", "cpu"]
    assert study.main([*command, "--max-trials", "3"]) == command_line.HALTED
    said = capsys.readouterr().out
    assert "\nthe best 1 on 2 fresh seed(s) each, 1 epoch of 100 images each: " in said
    assert "own figure (1 of 2 trainings that tell are done)." in said
    assert "\n1 point(s) left; the same command goes on.\n" in said
    assert status.main(at) == 0
    said = capsys.readouterr().out
    assert "2 points: 2 complete, 0 running, 0 to go; best single trial " in said
    assert "confirmation: 1 of 2 trainings done\n" in said
    assert study.main(command) == 0
    assert "\nWinner: dropout 0." in capsys.readouterr().out
    page = store.report("tiny_search/standard/r1") / "report.html"
    assert "Finalists on fresh seeds" in page.read_text()


PRUNED = SEARCH.replace("epochs=1", "epochs=2").replace(
    'pruner="none", finalists=1, fresh_seeds=2', 'pruner="one_epoch", resume_pruned=1, finalists=0'
)


@pytest.mark.usefixtures("handlers")
def test_pruned_trials_go_on_by_themselves_and_more_of_a_finished_search(
    store: Store,
    splits: SearchSplits,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    enter(tmp_path, monkeypatch, splits, PRUNED)
    at = ["tiny_search", "--store", str(store.root), "--device", "cpu"]
    assert study.main([*at, "--max-trials", "2"]) == command_line.HALTED
    said = capsys.readouterr().out
    assert ", the best 1 of the pruned ones to their end, 2 epochs of 100 images" in said
    assert "\n1 point(s) left; the same command goes on.\n" in said
    assert study.main(at) == 0
    said = capsys.readouterr().out
    assert "\n1 to go, about " in said
    assert "\n[3/3 done] trial 2  dropout=" in said
    assert "\nBest of 2 trials (1 pruned): " in said
    assert study.main([*at, "--resume-pruned", "2"]) == 0
    assert "\nBest of 2 trials (0 pruned): " in capsys.readouterr().out
    assert status.main(at[:3]) == 0
    assert (
        " 2 points: 2 complete, 0 running, 0 to go; best single trial " in capsys.readouterr().out
    )
    assert study.main([*at, "--warm-start", "nobody"]) == 2
    assert "(warm_start: none → nobody:standard); undo" in capsys.readouterr().err


def test_json_is_all_that_standard_output_has(
    store: Store,
    tmp_path: Path,
    splits: SearchSplits,
    handlers: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    enter(tmp_path, monkeypatch, splits, SEARCH)
    arguments = ["tiny_search", "--store", str(store.root), "--device", "cpu", "--json"]
    assert study.main([*arguments, "--max-trials", "1"]) == command_line.HALTED
    said = capsys.readouterr()
    answer = json.loads(said.out)
    assert (answer["ledger"], answer["to_go"]) == ("tiny_search/standard/r1", 1)
    assert answer["in_mlflow"] is True
    assert Path(answer["report"]).exists()
    assert all(sentence in " ".join(said.err.split()) for sentence in answer["answer"])
    assert "1 point(s) left" in said.err
    assert status.main(["tiny_search", "--json", "--store", str(store.root)]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["seconds_left"] > 0
    assert status.main(["tiny_search", "--store", str(store.root)]) == 0
    assert "1 to go (about " in capsys.readouterr().out


def test_a_design_has_no_pruned_trials_to_resume(capsys: pytest.CaptureFixture[str]) -> None:
    assert study.main(["mixup_ablation", "--resume-pruned", "2", "--dry-run"]) == 2
    assert capsys.readouterr().err == (
        "error: --resume-pruned is 2, but mixup_ablation is a design, which has no sampler; leave "
        "the option out.\n"
    )


def test_compiled_networks_are_for_a_gpu_and_for_a_new_study(
    store: Store,
    tmp_path: Path,
    splits: SearchSplits,
    handlers: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    enter(tmp_path, monkeypatch, splits, SEARCH)
    at = ["tiny_search", "--store", str(store.root), "--device", "cpu", "--max-trials", "1"]
    said = "networks are not compiled: the steps of this study are eager here"
    for compiled in ("yes", "auto"):  # too short a study for auto
        assert study.main([*at, "--compile", compiled]) == command_line.HALTED
        assert (said in capsys.readouterr().out) == (compiled == "yes")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ValueError, match="no C compiler") as refused:  # of who joins with a GPU
        devices.check_compiler()
    (told,) = re.findall(r"by (--revise .*)\.", str(refused.value))
    assert study.main([*at, *told.split()]) == command_line.HALTED
    steps = {ledger.name: ledger.step for ledger in all_ledgers(store)}
    assert steps["tiny_search/standard/r1"] == "compiled"
    assert steps["tiny_search/standard/r2"] == "captured"
