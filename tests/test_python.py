"""The Python API: what notebooks call, with public names alone."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution

import fashion_hpo
from fashion_hpo import Budget, Claim, Search, StudyResult, StudySpec, TrainConfig, levels
from fashion_hpo import DataSet as DataSet
from tests.own_sets import write_digits, write_tiles

TINY = TrainConfig(
    architecture="simple_cnn", architecture_options={"channels": 2, "hidden": 4},
    batch_size=20, epochs=2, precision="fp32",
)  # fmt: skip
ROOT = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("FASHION_HPO_STORAGE", "MLFLOW_TRACKING_URI", "FASHION_HPO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    write_tiles(tmp_path)
    return tmp_path


def design() -> StudySpec:
    claim = Claim(
        id="rate", text="A high rate is better.", measure="val_accuracy",
        contrast=("learning_rate", 0.0001, 0.01), direction="higher", margin=0.0,
    )  # fmt: skip
    return StudySpec(
        base=TINY,
        scientific={"learning_rate": levels(0.0001, 0.01)},
        seeds=2,
        claims=[claim],
        data=DataSet("tiles"),
    )


def test_importing_the_package_imports_nothing_slow() -> None:
    code = "import sys, fashion_hpo; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"torch", "mlflow", "optuna", "numpy", "pandas"} & set(done.stdout.split())


def test_every_public_name_is_there_and_others_are_not() -> None:
    for name in fashion_hpo.PLACES:
        assert name in dir(fashion_hpo)
        assert getattr(fashion_hpo, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        _ = fashion_hpo.runs


def test_a_spec_is_run_loaded_and_continued(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    result = fashion_hpo.run(design(), name="rates", changes={"epochs": 1})
    assert signal.getsignal(signal.SIGINT) is before
    assert "[4/4 done]" in capsys.readouterr().out
    assert isinstance(result, StudyResult)
    assert (result.name, result.remaining) == ("rates/standard/r1", 0)
    assert len(result.trials) == 4
    assert len(result.epochs) == 4
    assert set(result.trials["learning_rate"]) == {0.0001, 0.01}
    rates = result.epochs.merge(result.trials, on="trial", suffixes=("", "_set"))
    assert list(rates["config_learning_rate"]) == list(rates["learning_rate_set"])
    assert list(rates["learning_rate"]) == list(rates["last_learning_rate"])
    assert (rates["learning_rate"] < rates["config_learning_rate"]).all(), "it falls by a cosine"
    assert [verdict.claim_id for verdict in result.verdicts] == ["rate"]
    assert result.verdicts[0].sentence
    assert result.best_config is not None
    assert result.best_config.epochs == 1
    assert result.report is not None
    assert "flower" in result.report.read_text()
    assert result.figures
    assert result.answer in repr(result)
    assert [check.name for check in result.checks]
    again = fashion_hpo.run(design(), name="rates", changes={"epochs": 1}, progress=False)
    assert capsys.readouterr().out == ""
    assert list(again.trials["uid"]) == list(result.trials["uid"])
    for loaded in (fashion_hpo.load("rates"), fashion_hpo.load(design(), name="rates")):
        assert loaded.name == result.name
        assert loaded.best_config == result.best_config
        assert loaded.report == result.report
    assert loaded.verdicts == result.verdicts
    with pytest.raises(ValueError, match="holds another spec"):
        fashion_hpo.run(design(), name="rates", changes={"epochs": 2})


def test_a_search_is_run_to_its_finalists(home: Path) -> None:
    search = Search(
        space={"learning_rate": FloatDistribution(0.001, 0.01)}, trials=2, finalists=1,
        fresh_seeds=1, sampler="random", pruner="none",
    )  # fmt: skip
    spec = StudySpec(base=TINY, search=search, budgets={"quick": Budget(epochs=1)})
    result = fashion_hpo.run(spec, budget="quick", name="best", data="tiles", progress=False)
    assert result.remaining == 0
    assert result.records.confirmation is not None
    assert len(result.records.confirmation.trials) == 1
    assert result.best_config is not None
    assert result.best_config.learning_rate in set(result.trials["learning_rate"])


def test_what_is_not_there_is_said(home: Path) -> None:
    write_digits(home)
    with pytest.raises(ValueError, match="has no results"):
        fashion_hpo.load("rates")
    with pytest.raises(ValueError, match="study name is"):
        fashion_hpo.run(design(), name="../up")
    with pytest.raises(ValueError, match=re.escape("epoch is not a field of TrainConfig")):
        fashion_hpo.run(design(), name="rates", changes={"epoch": 1})


def test_the_notebook_runs_on_smaller_trials(home: Path) -> None:
    notebook = json.loads((ROOT / "docs/python.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert all(c["execution_count"] for c in notebook["cells"] if c["cell_type"] == "code")
    smaller = {
        "epochs=2)": "epochs=1)",
        "seeds=3": "seeds=2",
        'run(spec, name="two_rates"': 'run(spec, data="tiles", name="two_rates"',
    }
    names: dict[str, object] = {}
    for source in cells:
        for full, small in list(smaller.items()):
            if full in source:
                source = source.replace(full, small)
                del smaller[full]
        exec(source, names)  # the project's own notebook
    assert not smaller
    result, again = names["result"], names["again"]
    assert isinstance(result, StudyResult)
    assert isinstance(again, StudyResult)
    assert again.name == result.name == "two_rates/standard/r1"
    modules = re.findall(r"^(?:from|import) (\S+)", "\n".join(cells), re.M)
    assert set(modules) == {"fashion_hpo"}
