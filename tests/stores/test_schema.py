import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import alembic.command
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from fashion_hpo.stores import schema
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.opening import connect
from fashion_hpo.stores.schema import MLFLOW_TABLES, check_ledger, prepare_tracking
from fashion_hpo.stores.tracking import Tracker
from tests.folders import content
from tests.mlflow_tables import tables_of_mlflow

CHECKS = {"optuna.db": check_ledger, "mlflow.db": prepare_tracking}
OLD_OPTUNA = "v3.0.0.d"
OLD_MLFLOW = "b7e4c1a90f23"
OPEN_BOTH = """
import sys
from pathlib import Path
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.opening import connect
from fashion_hpo.stores.schema import prepare_tracking

for opened in (connect, prepare_tracking):
    try:
        opened(Store(Path(sys.argv[1])))
    except StoreError as error:
        print(error)
"""
KILLED_WRITER = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("CREATE TABLE filling(x)")
connection.execute("PRAGMA cache_size=5")  # so that what is not committed reaches the file
connection.execute("BEGIN")
for _ in range(50):
    connection.execute("INSERT INTO filling VALUES(randomblob(100000))")
os.kill(os.getpid(), 9)
"""


def sql(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def older_optuna(database: Path) -> None:
    """As Optuna 3.1 left it: one index was made since."""
    sql(
        database,
        "DROP INDEX ix_trials_study_id",
        "UPDATE version_info SET library_version = '3.1.0'",
        f"UPDATE alembic_version SET version_num = '{OLD_OPTUNA}'",
    )


def older_mlflow(database: Path) -> None:
    """As an MLflow left it that lacked the last migrations, some of which make tables."""
    import mlflow
    from mlflow.store.tracking.dbmodels.initial_models import Base

    database.unlink()
    engine = create_engine(f"sqlite:///{database}")
    config = Config()
    scripts = Path(mlflow.__file__).parent / "store" / "db_migrations"
    config.set_main_option("script_location", str(scripts))
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, OLD_MLFLOW)
    engine.dispose()


OLDER = {"optuna.db": older_optuna, "mlflow.db": older_mlflow}


def test_the_schema_of_the_installed_packages_is_taken(store: Store) -> None:
    before = content(store.root, "-shm")
    check_ledger(store)
    prepare_tracking(store)
    assert content(store.root, "-shm") == before


@pytest.mark.parametrize("name", OLDER)
def test_an_older_schema_is_left_as_it_is_and_the_upgrade_command_works(
    store: Store, name: str
) -> None:
    OLDER[name](store.root / name)
    before = content(store.root, "-shm")
    with pytest.raises(StoreError, match=r"older than .*; copy the database, then run") as error:
        CHECKS[name](store)
    assert content(store.root, "-shm") == before

    (named,) = re.findall("`(.*)`", str(error.value))
    program, *arguments = shlex.split(named)
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    subprocess.run(command, check=True, capture_output=True)
    CHECKS[name](store)
    connect(store).engine.dispose()


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("name", CHECKS)
def test_a_newer_schema_is_left_as_it_is(store: Store, name: str, mode: str) -> None:
    sql(
        store.root / name,
        f"PRAGMA journal_mode={mode}",
        "UPDATE alembic_version SET version_num = 'v99'",
    )
    before = content(store.root, "-shm")
    with pytest.raises(StoreError, match=rf"{name} has schema v99, which a newer .* made; upgrade"):
        CHECKS[name](store)
    assert content(store.root, "-shm") == before
    names = {path.name for path in before}
    assert names == {"mlflow.db", "optuna.db"}, "no file beside them"


def test_a_ledger_of_another_schema_is_not_opened(store: Store) -> None:
    sql(store.root / "optuna.db", "UPDATE alembic_version SET version_num = 'v99'")
    before = content(store.root, "-shm")
    with pytest.raises(StoreError, match="has schema v99"):
        connect(store)
    assert content(store.root, "-shm") == before


def test_connecting_reads_optunas_migrations_once_a_process(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(store).engine.dispose()
    monkeypatch.setattr(ScriptDirectory, "get_current_head", lambda _: pytest.fail("read again"))
    connect(store).engine.dispose()


def test_a_database_from_before_schemas_had_versions_is_refused(store: Store) -> None:
    sql(
        store.root / "optuna.db",
        "DROP TABLE alembic_version",
        "UPDATE version_info SET schema_version = 11",
    )
    with pytest.raises(StoreError, match=r"optuna.db cannot be opened \(.* no longer compatible"):
        connect(store)


def test_what_a_killed_writer_left_in_the_log_is_read_and_kept(store: Store) -> None:
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA journal_mode=WAL'); "
        """c.execute("UPDATE alembic_version SET version_num = 'v99'"); os.kill(os.getpid(), 9)"""
    )
    subprocess.run([sys.executable, "-c", code, str(store.root / "optuna.db")], check=False)
    before = content(store.root, "-shm")
    assert store.root / "optuna.db-wal" in before
    with pytest.raises(StoreError, match="has schema v99"):
        check_ledger(store)
    assert content(store.root, "-shm") == before


def test_a_database_whose_writer_was_killed_is_rolled_back_not_refused(store: Store) -> None:
    database = store.root / "mlflow.db"
    subprocess.run([sys.executable, "-c", KILLED_WRITER, str(database)], check=False)
    assert (store.root / "mlflow.db-journal").exists()
    prepare_tracking(store)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM filling").fetchone() == (0,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("text", ["a text", "a text of some length " * 99])
@pytest.mark.parametrize("name", CHECKS)
def test_a_file_that_is_no_database_is_left_as_it_is(store: Store, name: str, text: str) -> None:
    (store.root / name).write_text(text)
    before = content(store.root, "-shm")
    with pytest.raises(StoreError, match=rf"{name} cannot be opened .*no.* a database") as error:
        CHECKS[name](store)
    assert "\n" not in str(error.value)
    assert content(store.root, "-shm") == before


@pytest.mark.parametrize("read_only", ["files", "folder"])
def test_read_only_databases_are_named(store: Store, read_only: str) -> None:
    places = [store.root] if read_only == "folder" else list(store.root.glob("*.db"))
    before = content(store.root, "-shm")
    for place in places:
        place.chmod(0o555 if place.is_dir() else 0o444)
    found = subprocess.run(
        [*without_roots_rights(), sys.executable, "-c", OPEN_BOTH, str(store.root)],
        capture_output=True,
        text=True,
        check=True,
    )
    store.root.chmod(0o755)
    sentences = found.stdout.splitlines()
    assert len(sentences) == 2, found.stderr
    for name, sentence in zip(("optuna.db", "mlflow.db"), sentences, strict=True):
        place = store.root if read_only == "folder" else store.root / name
        assert f"{name} cannot be used because {place} is read-only; make it writable" in sentence
    assert content(store.root, "-shm") == before


def without_roots_rights() -> list[str]:
    """What starts a command for which a file's mode counts, whoever runs the tests."""
    if os.geteuid() != 0:
        return []
    rights = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    if shutil.which("setpriv") is None or subprocess.run([*command, "true"]).returncode:
        pytest.skip("root may write anywhere, and setpriv cannot take that right away here")
    return command


def test_the_tables_of_mlflow_kept_here_are_those_that_its_migrations_make() -> None:
    """The order of a table's constraints and of the indices differs from process to process."""
    kept, made = (
        sorted(line.strip(" ,") for line in text.splitlines())
        for text in (MLFLOW_TABLES.read_text(encoding="utf-8"), tables_of_mlflow())
    )
    assert kept == made, "run `python -m tests.mlflow_tables`"


def test_the_tables_of_another_mlflow_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.sql"
    text = MLFLOW_TABLES.read_text(encoding="utf-8")
    other.write_text(re.sub(r"(\"alembic_version\" VALUES)\('\w+'\)", r"\1('v99')", text))
    monkeypatch.setattr(schema, "MLFLOW_TABLES", other)
    prepare_tracking(Store(tmp_path))
    prepare_tracking(Store(tmp_path))  # which refuses a version that is not MLflow's newest


def test_a_new_tracking_database_that_sqlite_cannot_write_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.sql"
    broken.write_text(f"{MLFLOW_TABLES.read_text(encoding='utf-8')}CREATE TABLE experiments(x);")
    monkeypatch.setattr(schema, "MLFLOW_TABLES", broken)
    with pytest.raises(StoreError, match=r"mlflow.db cannot be opened \(table .* already exists"):
        Tracker(Store(tmp_path), "a_study")


def test_a_new_tracking_database_is_made_whole(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (tmp_path / ".new").mkdir()
    (tmp_path / ".new" / "mlflow.db").write_text("what a kill left half made")
    prepare_tracking(store)
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    prepare_tracking(store)


@pytest.mark.parametrize("check", CHECKS.values())
def test_a_server_that_is_not_there_is_named_without_the_password(
    tmp_path: Path, check: Callable[[Store], None]
) -> None:
    address = "postgresql://me:secret@127.0.0.1:1/db"
    with pytest.raises(StoreError, match=r"postgresql://me:\*\*\*@.* cannot be opened") as error:
        check(Store(tmp_path, address, address))
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_a_tracking_server_looks_after_itself(tmp_path: Path) -> None:
    prepare_tracking(Store(tmp_path, None, "http://127.0.0.1:1"))
    assert list(tmp_path.iterdir()) == []
