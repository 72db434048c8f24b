import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fashion_hpo.stores.copying import copy_store
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger, Result
from fashion_hpo.stores.opening import open_ledger
from fashion_hpo.stores.tracking import Tracker
from tests.plans import design

WRITER = """
import sys
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Metric

from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Result
from fashion_hpo.stores.opening import open_ledger
from tests.plans import design

# As a trial is: metric, files here, commit, upload, run closed, files here removed.
store = Store(Path(sys.argv[1]))
client = MlflowClient(store.tracking_uri, store.tracking_uri)
ledger = open_ledger(store, design(), "data", threads=1)
attempt = ledger.claim()
for count in range(1, 10**9):
    client.log_batch(sys.argv[2], [Metric("count", count, count, count)])
    files = store.trial_folder(f"trial-{count}")
    files.mkdir(parents=True)
    (files / "lock").touch()
    (files / "count.txt").write_text(str(count))
    ledger.commit(attempt, Result("failed", reason=str(count)))
    client.log_artifact(sys.argv[2], str(files / "count.txt"), str(count))
    client.set_tag(sys.argv[2], "mirrored", str(count))
    store.remove_trial_files(f"trial-{count}")
    print(count, flush=True)
"""


def opened(store: Store) -> Ledger:
    return open_ledger(store, design(), "data", threads=1)


def integrity(database: Path) -> str:
    with closing(sqlite3.connect(database)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


def fill(database: Path) -> None:
    """Make copying it take long enough for other processes to write."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE filling(x)")
        connection.executemany("INSERT INTO filling VALUES(zeroblob(?))", [(2_000_000,)] * 20)


@contextmanager
def busy_writer(store: Store, run: str) -> Iterator[subprocess.Popen[str]]:
    """A process that writes to both databases and to the folder without a pause."""
    command = [sys.executable, "-c", WRITER, str(store.root), run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "1\n"
            yield writer
        finally:
            writer.kill()


def test_a_store_is_copied_while_it_is_written(store: Store, tmp_path: Path) -> None:
    tracker = Tracker(store, "tiny")
    kind = {"fashion_hpo.kind": "trial"}
    run = tracker.client.create_run(tracker.experiment_id, tags=kind).info.run_id
    fill(store.root / "optuna.db")
    counts: list[int] = []
    with busy_writer(store, run) as writer:
        while len(counts) < 5 or (counts[-1] == counts[0] and len(counts) < 50):
            copy = copy_store(store, tmp_path / f"copy {len(counts)}")
            counts.append(check(copy, run))
        assert writer.poll() is None, "it was never refused"
    assert counts == sorted(counts)
    assert counts[-1] > counts[0], "the writer was not at work"


def check(copy: Store, run: str) -> int:
    """The copy is whole, and its parts are of one moment; how far the writer was."""
    assert [integrity(copy.root / name) for name in ("optuna.db", "mlflow.db")] == ["ok", "ok"]
    entry = next(entry for entry in opened(copy).entries() if entry.result)
    assert entry.result is not None
    told = int(entry.result.reason)
    tracker = Tracker(copy, "tiny")
    found = tracker.client.get_run(run)
    assert told <= found.data.metrics["count"] <= told + 1
    mirrored = int(found.data.tags["mirrored"])
    assert told - 1 <= mirrored <= told
    if mirrored < told:
        assert (copy.trial_folder(f"trial-{told}") / "count.txt").read_text() == str(told)
    artifacts = Path(found.info.artifact_uri)
    assert artifacts.is_relative_to(copy.artifacts)
    for number in range(1, mirrored + 1):
        assert (artifacts / str(number) / "count.txt").read_text() == str(number)
    assert list(copy.root.rglob("*lock")) == [copy.root / ".databases.lock"]
    return told


def test_what_is_not_mirrored_yet_comes_along(store: Store, tmp_path: Path) -> None:
    ledger = opened(store)
    attempt = ledger.claim()
    assert attempt is not None
    checkpoint = store.checkpoint(ledger.uid, attempt.point)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("the weights")
    store.openings_log.write_text("opened once")
    with store.lock("claim"), store.trial_lock(attempt.uid):
        (store.trial_folder(attempt.uid) / "model").mkdir()
        (store.trial_folder(attempt.uid) / "model" / "weights").write_text("exported")
        copy = copy_store(store, tmp_path / "copy")
        with copy.trial_lock(attempt.uid).acquire(blocking=False):  # nobody's there
            assert opened(copy).entries()[0].attempt == attempt
    assert not (copy.root / ".claim.lock").exists()
    assert (copy.trial_folder(attempt.uid) / "model" / "weights").read_text() == "exported"
    assert copy.checkpoint(ledger.uid, attempt.point).read_text() == "the weights"
    assert copy.openings_log.read_text() == "opened once"


def test_store_and_copy_go_separate_ways(store: Store, tmp_path: Path) -> None:
    ledger = opened(store)
    Tracker(store, "tiny")
    (tmp_path / "copy").mkdir()
    copy = copy_store(store, tmp_path / "copy")
    attempt = opened(copy).claim()
    assert attempt is not None
    opened(copy).commit(attempt, Result("failed", reason="in the copy"))
    theirs = Tracker(copy, "tiny")
    theirs.client.create_run(theirs.experiment_id)
    assert [entry.state for entry in ledger.entries()] == []
    mine = Tracker(store, "tiny")
    assert mine.client.search_runs([mine.experiment_id]) == []


def test_a_store_without_databases_is_copied_too(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    copy = copy_store(Store(tmp_path / "store"), tmp_path / "new" / "copy")
    assert list(copy.root.iterdir()) == []


def test_what_is_there_is_never_overwritten(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    for target in (tmp_path / "mine", tmp_path / "mine" / "file"):
        with pytest.raises(StoreError, match="is not empty; name a new folder"):
            copy_store(store, target)
    assert (tmp_path / "mine" / "file").read_text() == "mine"


def test_a_copy_in_itself_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="would lie inside the store; name a folder outside"):
        copy_store(store, store.root / "copy")


def test_a_database_elsewhere_is_not_copied(tmp_path: Path) -> None:
    for store in (Store(tmp_path, storage="sqlite:///x.db"), Store(tmp_path, tracking="http://a")):
        with pytest.raises(
            StoreError, match="has a database outside its folder, which is not copied; "
        ):
            copy_store(store, tmp_path.with_name("copy"))


def test_a_copy_that_fails_leaves_nothing(store: Store, tmp_path: Path) -> None:
    (store.root / "mlflow.db").write_text("no database " * 99)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=r"cannot be copied to .*copy \(file is not a database\)"):
        copy_store(store, tmp_path / "copy")
    assert sorted(tmp_path.iterdir()) == before
