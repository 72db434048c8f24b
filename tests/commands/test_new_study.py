"""`study --new`: the examples run as they are written."""

from pathlib import Path

import pytest

from fashion_hpo import study
from fashion_hpo.design.study_file import load_study
from fashion_hpo.stores.layout import Store

SMALL = ["--budget", "quick", "--set", "architecture=simple_cnn", "--set", "epochs=1"]
SMALL += ["--set", "train_images=200", "--device", "cpu"]


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("options", "kind"), [([], "design"), (["--search"], "search")])
def test_a_new_study_runs_as_it_is_written(
    options: list[str],
    kind: str,
    tmp_path: Path,
    store: Store,
    real_data: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study.main(["--new", "mine", *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("type `python -m fashion_hpo.study mine --dry-run`")
    question, spec = load_study("mine")
    assert question.endswith("?")
    assert spec.kind == kind
    assert "study mine --budget quick" in (tmp_path / "studies" / "mine.py").read_text()
    assert study.main(["mine", "--dry-run"]) == 0
    small = [*SMALL, "--data", str(real_data), "--store", str(store.root)]
    assert study.main(["mine", *small]) == 0


def test_a_study_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert study.main(["--new", "mine"]) == 0
    path = tmp_path / "studies" / "mine.py"
    path.write_text("# changed")
    for name in ("mine", "dropout_ablation"):
        capsys.readouterr()
        assert study.main(["--new", name]) == 2
        assert f"error: study {name} exists already, as " in capsys.readouterr().err
    assert path.read_text() == "# changed"
    assert study.main(["--new", "No-Name"]) == 2
    assert study.main(["--new"]) == 2
    assert "no study was named" in capsys.readouterr().err
