"""Real errors: of /dev/full, and of databases that may have no page more."""

import argparse
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, event

from fashion_hpo.stores import failures
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import connect
from fashion_hpo.terminal import command_line

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def full_file(store: Store) -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"1")


def no_page_more(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA max_page_count = 1")  # sqlite keeps to those it has


def full_ledger(store: Store) -> None:
    storage = connect(store)
    event.listen(storage.engine, "connect", no_page_more)
    storage.engine.dispose()
    study = optuna.create_study(storage=storage)
    study.set_user_attr("long", "x" * 10**6)


def full_ledger_at_first_use(store: Store) -> None:
    """Optuna's own line says that the data may exceed a maximum length."""
    (store.root / "optuna.db").unlink()
    RDBStorage(store.ledger_url, engine_kwargs={"creator": lambda: tiny(store.root / "optuna.db")})


def tiny(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA max_page_count = 4")
    return connection


def full_tracking(store: Store) -> None:
    client = MlflowClient(store.tracking_uri)
    event.listen(client._tracking_client.store.engine, "connect", no_page_more)
    client._tracking_client.store.engine.dispose()
    run = client.create_run("0")
    for number in range(100):
        client.log_param(run.info.run_id, f"long{number}", "x" * 6000)


def full_database(store: Store) -> None:
    path = store.root / "optuna.db"
    engine = create_engine("sqlite://", creator=lambda: sqlite3.connect(path))
    event.listen(engine, "connect", no_page_more)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE filling AS SELECT zeroblob(1000000)")


FULL = (full_file, full_ledger, full_ledger_at_first_use, full_tracking, full_database)


@pytest.mark.parametrize("fill", FULL)
def test_a_full_disk_is_told_as_one(
    fill: Callable[[Store], None], store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(args: argparse.Namespace) -> int:
        fill(store)
        return 0

    parser = command_line.parser("study", "")
    command_line.add_store(parser)
    code = command_line.run(main, parser, ["--store", str(store.root)])
    said = capsys.readouterr().err.splitlines(keepends=True)[-1]  # MLflow logs its own before it
    assert said.startswith(f"error: the disk of {store.root} is full (")
    assert said.endswith(
        "); make room, then run the same command again: what was written before is safe.\n"
    )
    assert "No space left on device" in said or "database or disk is full)" in said
    assert code == command_line.HALTED


def test_another_error_of_a_database_is_told_by_its_own_words(store: Store) -> None:
    """Not by Optuna's guess, and not as a full disk."""
    storage = connect(store)
    with closing(sqlite3.connect(store.root / "optuna.db")) as connection:
        connection.execute("DROP TABLE studies")
    with pytest.raises(OptunaError) as raised:
        optuna.create_study(storage=storage)
    assert not failures.is_disk_full(raised.value)
    assert failures.reason_of(raised.value) == "no such table: studies"


def test_an_error_that_says_nothing_is_named() -> None:
    assert failures.reason_of(MlflowException("")) == "MlflowException"
    assert failures.reason_of(TimeoutError()) == "TimeoutError"
