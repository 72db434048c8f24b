"""`bench cluster` with a real PostgreSQL and a real MLflow server, at a small size."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from fashion_hpo import bench
from fashion_hpo.measuring.cluster import Load, Seconds, bottleneck, ceiling
from tests.faults.servers import HOST, TrackingServer

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["tests.postgres"]


def load(workers: int, claiming: float, tracking: float, connections: int) -> Load:
    trials = 10 * workers
    seconds = Seconds([claiming] * trials, [0.01] * trials, [tracking] * trials)
    return Load(workers, trials, 60.0, seconds, 0, connections)


def test_all_trials_are_run_once_and_counted(
    database: str,
    server: TrackingServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FASHION_HPO_STORAGE", database)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{HOST}:{server.port}")
    options = ["--workers", "1", "2", "--per-worker", "3", "--store", str(tmp_path)]
    assert bench.main(["cluster", *options]) == 0
    text = capsys.readouterr().out
    rows = re.findall(r"^ +([12])" + r" +([\d,]+)" * 7 + "$", text, re.M)
    assert [row[0] for row in rows] == ["1", "2"]
    assert all(int(row[1]) > 0 for row in rows)
    assert [row[6] for row in rows] == ["0", "0"], "no point twice"
    assert 2 <= int(rows[0][7]) < int(rows[1][7]) <= 6, "the parent has one too"
    assert "1,000 workers, computed" in text
    assert "connections: " in text


def test_stores_of_one_host_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FASHION_HPO_STORAGE", raising=False)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert bench.main(["cluster", "--store", str(tmp_path)]) == 2
    assert "needs a PostgreSQL database in --storage" in capsys.readouterr().err


def test_the_bottleneck_is_what_trials_wait_for() -> None:
    assert bottleneck(load(8, claiming=0.5, tracking=0.1, connections=8)) == "claiming"
    assert bottleneck(load(8, claiming=0.1, tracking=0.5, connections=8)) == "tracking"


def test_a_ceiling_is_computed_from_the_fastest_load() -> None:
    loads = [load(1, 0.1, 0.5, 1), load(8, 0.1, 0.5, 8)]  # 10 and 80 trials a minute
    first, second = ceiling(loads, 1_000, allowed=100)
    assert first.startswith("connections: 1,000 wanted, 100 allowed; Optuna's gRPC proxy")
    assert "80 trials a minute in all, so trials shorter than 750 s wait" in second
    assert len(ceiling(loads, 1_000, allowed=2_000)) == 1
