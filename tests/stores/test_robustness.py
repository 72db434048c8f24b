"""What other processes, people and disks do to a store."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger, Result
from fashion_hpo.stores.opening import open_ledger
from fashion_hpo.stores.tracking import Tracker
from tests.forks import at_once, begin
from tests.plans import design

LOCK_SECONDS = 7  # longer than sqlite's own patience, which is 5
HALF_MADE = 300_000  # bytes of MLflow's database, which has a million when it is complete
LOCKER = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
connection.execute("COMMIT")
print("let go", flush=True)
"""
FULL_DISK = """
import errno
import os
import sqlite3
import sys
from pathlib import Path

from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Result
from fashion_hpo.stores.opening import open_ledger
from tests.plans import design

store = Store(Path(sys.argv[1]))
ledger = open_ledger(store, design(), "data", threads=1)
attempt = ledger.claim()
filling = store.root / "filling"
with filling.open("wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError as error:
        assert error.errno == errno.ENOSPC
result = Result("complete", 0.5, history=[{"epoch": 1, "note": "x" * 300_000}])
try:
    ledger.commit(attempt, result)
except Exception as error:
    print(type(error).__name__, " ".join(str(error.__cause__ or error).split())[:80])
print(ledger.entries()[attempt.number].result)
filling.unlink()
ledger.commit(attempt, result)
print(ledger.entries()[attempt.number].result == result)
print(sqlite3.connect(store.root / "optuna.db").execute("PRAGMA integrity_check").fetchone())
"""


def opened(store: Store) -> Ledger:
    return open_ledger(store, design(), "data", threads=1)


@contextmanager
def locked(database: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process has the file to itself when the body begins, for `LOCK_SECONDS`."""
    command = [sys.executable, "-c", LOCKER, str(database), str(LOCK_SECONDS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as locker:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        assert locker.poll() is None
        yield locker
        assert locker.stdout.readline() == "let go\n"


def test_locked_databases_are_waited_for(store: Store) -> None:
    ledger, tracker = opened(store), Tracker(store, "tiny")
    run = str(tracker.client.create_run(tracker.experiment_id).info.run_id)
    attempt = ledger.claim()
    assert attempt is not None
    result = Result("complete", 0.5)
    with (
        locked(store.root / "optuna.db"),
        locked(store.root / "mlflow.db"),
        ThreadPoolExecutor() as others,
    ):
        committed = others.submit(ledger.commit, attempt, result)
        logged = others.submit(tracker.log_summaries, run, {"ece": 0.5}, epoch=1, at=1)
        again = Tracker(store, "tiny")  # reading waits as well: this database has one file
        committed.result()
        logged.result()
    assert ledger.entries()[0].result == result
    assert again.client.get_run(run).data.metrics == {"ece": 0.5}


def first_use(store: Store) -> tuple[str, str]:
    """Open both databases; the ledger's id and the experiment's."""
    return opened(store).uid, Tracker(store, "tiny").experiment_id


def test_four_processes_may_use_an_empty_folder_first(tmp_path: Path) -> None:
    found = at_once(first_use, *[(Store(tmp_path / "new" / "store"),)] * 4)
    assert len(set(found)) == 1, "one ledger and one experiment"


def test_a_process_killed_at_first_use_leaves_a_store_that_can_be_used(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    killed = begin(first_use, store)
    while not any(size(path) > HALF_MADE for path in databases(store)):
        assert killed.is_alive()
        time.sleep(0.001)
    killed.kill()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert opened(store).remaining() == 4
    Tracker(store, "tiny")
    assert len(databases(store)) == 1


def databases(store: Store) -> list[Path]:
    """MLflow's, wherever in the store."""
    return list(store.root.rglob("mlflow.db"))


def size(path: Path) -> int:
    """0 for a file that went away."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_a_deleted_experiment_of_the_name_is_left_as_it_is(store: Store) -> None:
    tracker = Tracker(store, "tiny")
    run = tracker.client.create_run(tracker.experiment_id)
    tracker.client.delete_experiment(tracker.experiment_id)
    before = hashlib.sha256((store.root / "mlflow.db").read_bytes()).hexdigest()
    with pytest.raises(StoreError, match=r"tiny was deleted in MLflow; restore it") as error:
        Tracker(store, "tiny")
    assert hashlib.sha256((store.root / "mlflow.db").read_bytes()).hexdigest() == before

    command = str(error.value).split("`")[1]
    assert "mlflow experiments restore" in command
    subprocess.run(command, shell=True, check=True, capture_output=True)
    restored = Tracker(store, "tiny")
    assert restored.experiment_id == tracker.experiment_id
    assert restored.client.get_run(run.info.run_id).info.lifecycle_stage == "active"


def test_a_full_disk_fails_a_commit_and_spoils_nothing(tmp_path: Path) -> None:
    found = subprocess.run(
        [*on_a_small_disk(tmp_path), sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    failed, before, after, integrity = found.stdout.splitlines()
    assert failed.startswith("StorageInternalError")
    assert "database or disk is full" in failed
    assert before == "None"
    assert after == "True"
    assert integrity == "('ok',)"


def on_a_small_disk(folder: Path) -> list[str]:
    """What starts a command that finds a disk of two megabytes at the folder, for itself alone."""
    mount = f"mount -t tmpfs -o size=2m none '{folder}' && exec \"$@\""
    private = ["unshare", "--mount"]
    if os.geteuid() != 0:
        private += ["--user", "--map-root-user"]
    command = [*private, "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None:
        pytest.skip("a small disk cannot be made here: there is no unshare")
    tried = subprocess.run([*command, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"a small disk cannot be made here: {tried.stderr.strip()}")
    return command
