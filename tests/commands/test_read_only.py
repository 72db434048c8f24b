"""A store that cannot be written to can be looked at, and is left as it is."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from PIL import Image

from fashion_hpo import ui
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.stores.reading import store_to_read
from tests.commands.test_errors import Commands, commands, without_the_powers_of_root
from tests.folders import content

__all__ = ["commands"]
pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs POSIX permissions")
STUDY = '"""Does it run?"""\nfrom tests.plans import design, search\nSTUDY = {}.spec\n'


@pytest.fixture
def place(
    commands: Commands,
    finished_store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """A folder that all may enter, with a store that was moved there after its studies were done,
    and the studies' files."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.chdir(name)
        commands.store = Path(name, "store")
        shutil.copytree(finished_store, commands.store)
        Path("studies").mkdir()
        Path("studies/tiny.py").write_text(STUDY.format("design()"))
        Path("studies/tiny_search.py").write_text(
            STUDY.format("search(trials=2, sampler='random')")
        )
        Image.new("L", (28, 28)).save("boot.png")
        yield Path(name)


@contextmanager
def read_only(root: Path) -> Iterator[None]:
    """Within, nobody may write to the folder, and nobody does."""
    before = content(root)
    for path in [root, *root.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with without_the_powers_of_root():
            yield
    finally:
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert content(root) == before


LOOKING = {
    "status tiny": "4 points: 4 complete, 0 running, 0 to go",
    "report tiny": "report    not written, because store {store} is read-only; an earlier one is ",
    "report tiny --csv": "report    not written, because store {store} is read-only; an earlier ",
    "claims": "report    not written, because store {store} is read-only\n",
    "predict boot.png": " %",
    "doctor": "2 ledger(s), 6 trials: all invariants hold\n",
    "doctor tiny": "1 ledger(s), 4 trials: all invariants hold\n",
}
WRITING = ("study tiny", "register tiny", "register --rollback", "doctor --fix",
           "doctor --rebuild-mlflow", "delete tiny", "delete tiny --yes", "gc")  # fmt: skip


def test_what_only_looks_shows_a_read_only_store(commands: Commands, place: Path) -> None:
    """Most of them twice: what they need is imported while root may read it."""
    for command in LOOKING:
        commands.on_store(*command.split())
    shutil.rmtree(commands.store / "reports" / "all-claims")
    with read_only(commands.store):
        for command, words in LOOKING.items():
            said = commands.on_store(*command.split())
            told = [line for line in said.err.splitlines() if not line.startswith("note: image ")]
            assert (said.code, told) == (0, []), command
            assert words.format(store=commands.store) in said.out.replace("%", " %"), command


def test_what_writes_refuses_a_read_only_store(commands: Commands, place: Path) -> None:
    with read_only(commands.store):
        for command in WRITING:
            err = commands.refusal_on_store(*command.split())
            assert err == (
                f"error: store {commands.store} is read-only; name another with --store.\n"
            )


@pytest.mark.usefixtures("place")
def test_the_ui_shows_a_copy_and_says_so(
    commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MLflow's server itself is not started."""
    started: dict[str, str] = {}
    monkeypatch.setattr(os, "execve", lambda *given: started.update(given[2]))
    with read_only(commands.store):
        ui.main(["--store", str(commands.store), "--port", "5999"])
        said = commands.capsys.readouterr()
    assert said.err == ""
    assert f"store {commands.store} is read-only: the UI shows a copy " in said.out
    database = Path(started["MLFLOW_BACKEND_STORE_URI"].removeprefix("sqlite:///"))
    assert not database.is_relative_to(commands.store)
    with closing(sqlite3.connect(database)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    assert count == 8


@pytest.mark.parametrize("left", ["-wal and -shm", "-wal", "database alone"])
def test_what_a_killed_writer_left_beside_a_database_is_read(
    commands: Commands, place: Path, left: str
) -> None:
    """The last commits may be in a -wal file alone, whose -shm file a copy of the folder lacks."""
    database, kept = commands.store / "optuna.db", place / "kept"
    kept.mkdir()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("UPDATE studies SET study_name = 'tiny/quick/r1' WHERE study_id = 1")
        connection.commit()
        for path in commands.store.glob("optuna.db*"):
            shutil.copy(path, kept)
    for path in kept.iterdir():
        if path.name == "optuna.db" or path.name.removeprefix("optuna.db") in left.split(" and "):
            shutil.copy(path, commands.store)
    with read_only(commands.store):
        names = {ledger.name for ledger in all_ledgers(store_to_read(commands.store))}
    expected = "tiny/standard/r1" if left == "database alone" else "tiny/quick/r1"
    assert expected in names


def test_a_database_that_cannot_be_read_is_named(commands: Commands, place: Path) -> None:
    database = commands.store / "optuna.db"
    database.write_text("a text" * 1000)
    for beside in commands.store.glob("optuna.db-*"):  # a write-ahead file would still be read
        beside.unlink()
    with read_only(commands.store):
        said = commands.on_store("status", "tiny")
    assert said.code == 2
    assert f"{database} cannot be read (" in said.err
    assert said.err.count("\n") == 1


def test_a_store_that_is_not_there_is_told_where_it_could_not_be_made(
    commands: Commands, place: Path
) -> None:
    with without_the_powers_of_root():
        said = commands.run("status", "tiny", "--store", str(place / "other" / "store"))
    assert (said.code, said.err) == (0, "")
    assert "not begun" in said.out
    assert not (place / "other").exists()


def test_a_store_that_can_be_written_to_is_read_where_it_is(store: Store) -> None:
    assert store_to_read(store.root) == store
