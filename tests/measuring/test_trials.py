"""`bench trials` at a small size, and where it finds the time of a trial."""

import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fashion_hpo import bench
from fashion_hpo.measuring import trials
from fashion_hpo.measuring.trials import Cost, Edges, Size
from fashion_hpo.training import sources
from tests.commands.test_register import read

HELD_SECONDS = 0.3


@contextmanager
def busy(database: Path) -> Iterator[None]:
    """Within, another writer has the database most of the time."""
    ended = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
            while not ended.is_set():
                connection.execute("BEGIN IMMEDIATE")
                ended.wait(HELD_SECONDS)
                connection.execute("COMMIT")
                ended.wait(HELD_SECONDS / 30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_time_that_another_writer_takes_is_waiting_and_no_work(
    tmp_path: Path, fresh_databases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "read", read)
    folder = tmp_path / "store"
    shutil.copytree(fresh_databases, folder)
    with busy(folder / "optuna.db"):
        cost = trials.cost(folder, None, "cpu", Size(200, 1))
    assert cost.waiting > 3 * HELD_SECONDS, "claim, report, result and state are four writes"
    assert 0 <= cost.bookkeeping < cost.waiting
    assert min(cost.training, cost.evaluation, cost.export) > 0


def test_a_command_that_fails_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"ended with 2: error: train_images"):
        trials.edges(tmp_path, None, "cpu", Size(0, 1))


@pytest.mark.parametrize("form", [[], ["--markdown"]])
def test_the_table_has_the_medians_of_the_repeats(
    form: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    costs = iter(Cost(whole, 2.0, 1.0, 0.5, 0.25) for whole in (9.0, 4.0, 5.0))
    around = iter(Edges(before, 3.0) for before in (6.0, 7.0, 11.0))
    monkeypatch.setattr(trials, "cost", lambda *_: next(costs))
    monkeypatch.setattr(trials, "edges", lambda *_: next(around))
    assert bench.main(["trials", "--repeats", "3", *form]) == 0
    cells = re.findall(r"^\W*(\w.*?)[ |]{3,}([\d.]+)", capsys.readouterr().out, re.MULTILINE)
    assert dict(cells) == {
        "trials an hour": "720",
        "a trial": "5.00",
        "training": "2.00",
        "evaluation": "1.00",
        "export, reload, compare": "0.50",
        "checkpoints, documents, ledger, MLflow": "0.25",
        "waiting": "1.25",
        "a study until its first epoch begins": "7.00",
        "a study after its last epoch": "3.00",
    }
