"""What is measured leaves nothing in the databases that a person works with."""

import shutil
from pathlib import Path

import optuna
import pytest

from fashion_hpo.measuring import benchmarks
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import connect
from fashion_hpo.training import sources
from tests.commands.test_register import read


def test_measuring_leaves_the_databases_that_the_environment_names(
    tmp_path: Path, fresh_databases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = {name: tmp_path / f"{name}.db" for name in ("ledger", "tracking")}
    monkeypatch.setenv("FASHION_HPO_STORAGE", f"sqlite:///{mine['ledger']}")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{mine['tracking']}")
    monkeypatch.setattr(sources, "read", read)
    folder = tmp_path / "measured"
    shutil.copytree(fresh_databases, folder)
    cost = benchmarks.ledger_cost(folder, None, 2)
    assert cost.trials == 2
    (name,) = optuna.get_all_study_names(connect(Store(folder)))
    assert name.startswith("bench_ledger/")
    assert not any(path.exists() for path in mine.values())
