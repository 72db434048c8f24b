from pathlib import Path

import pytest

from fashion_hpo import study
from fashion_hpo.reporting import command_line


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
