"""Check a database's schema before Optuna or MLflow opens it, because opening changes the file.

Optuna creates missing tables, MLflow upgrades a database that lacks some, and we set sqlite's
write-ahead mode.  A database with another schema is refused here, unchanged.
"""

import os
import shlex
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote
from zlib import crc32

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, NullPool, create_engine, func, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.stores.addresses import sqlite_url
from fashion_hpo.stores.failures import is_disk_full
from fashion_hpo.stores.layout import Store, StoreError, without_password
from fashion_hpo.stores.versions import version_of

LOCK_WAIT_SECONDS = 60  # sqlite's default of 5 does not outlast a busy writer
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")  # MLflow opens these itself
WRITE_AHEAD = 2  # the byte at offset 18 of a sqlite file in write-ahead mode
MLFLOW_TABLES = Path(__file__).with_name("mlflow_tables.sql")
"""MLflow's empty database in SQL, because its migrations take a second and more to make it."""


@dataclass(frozen=True)
class _Package:
    """A package whose tables a database holds, and the command that upgrades them."""

    name: str
    title: str
    kind: str
    migrations: str
    upgrade: str
    setting: str


OPTUNA = _Package(
    "optuna",
    "Optuna",
    "storage",
    "storages/_rdb/alembic",
    "optuna storage upgrade --storage",
    "--storage",
)
MLFLOW = _Package(
    "mlflow",
    "MLflow",
    "tracking store",
    "store/db_migrations",
    "mlflow db upgrade",
    "MLFLOW_TRACKING_URI",
)


@contextmanager
def alone(url: str, what: str) -> Iterator[None]:
    """Hold the PostgreSQL database's lock `what`, against the processes of all hosts.

    For other databases this does nothing: the store's lock "databases" covers one host.
    """
    if not url.startswith("postgresql"):
        yield
        return
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:  # its end releases the lock, also at a kill
        connection.execute(select(func.pg_advisory_lock(crc32(what.encode()))))
        yield


def check_ledger(store: Store) -> bool:
    """Whether Optuna's database has tables, whose schema then is the installed package's.

    Raises StoreError if the database cannot be opened or has another schema.
    """
    with _original_path_named(store):
        return _check(OPTUNA, store.ledger_url)


def prepare_tracking(store: Store) -> None:
    """Check MLflow's database, or create it in the store; does nothing for a tracking server.

    Call this under the store's lock "databases".  Raises StoreError as `check_ledger` does.
    """
    uri = store.tracking_uri
    if store.tracking is None and not (store.databases / "mlflow.db").exists():
        _make_file(store.databases)
    elif uri.partition(":")[0].partition("+")[0] in DATABASES:
        with _original_path_named(store), _named(MLFLOW, uri), alone(uri, "tables of MLflow"):
            if not _check(MLFLOW, uri):
                _make_tables(uri)


def make_empty(url: str) -> None:
    """Create an absent sqlite file with the umask's permissions.

    sqlite gives a group read permission only, so that the store's second user could not write.
    """
    address = make_url(url)
    path = Path(address.database or ":memory:")
    in_file = address.get_backend_name() == "sqlite" and path.name != ":memory:"
    if in_file and path.parent.is_dir() and not path.exists():
        path.touch()


def _make_file(root: Path) -> None:
    """Create mlflow.db whole or not at all: MLflow cannot open a half-created database."""
    folder = root / ".new"
    shutil.rmtree(folder, ignore_errors=True)  # left by a kill
    folder.mkdir()
    if not _copy_tables(folder / "mlflow.db"):
        _make_tables(sqlite_url(folder / "mlflow.db"))
    os.replace(folder / "mlflow.db", root / "mlflow.db")
    shutil.rmtree(folder)


def _copy_tables(database: Path) -> bool:
    """Whether the tables kept here are those of the installed MLflow; if so, make them."""
    tables = MLFLOW_TABLES.read_text(encoding="utf-8")
    newest, _ = _revisions(MLFLOW)
    if f"INSERT INTO \"alembic_version\" VALUES('{newest}');" not in tables:
        return False
    make_empty(sqlite_url(database))
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(tables)
    return True


def _make_tables(uri: str) -> None:
    from mlflow import MlflowClient  # slow, and not needed to read the ledger

    make_empty(uri)
    MlflowClient(uri, uri).search_experiments(max_results=1)


def _check(package: _Package, url: str) -> bool:
    """Whether the database has tables.

    Raises StoreError if their schema is not that of the installed package.
    """
    revision = _revision(package, url)
    head, known = _revisions(package)
    if revision is None or revision == head:
        return revision is not None
    here = f"{package.kind} {without_password(url)} has schema {revision}"
    installed = f"{package.title} {version_of(package.name)}"
    if revision in known:
        command = f"{package.upgrade} {shlex.quote(without_password(url))}"
        raise StoreError(
            f"{here}, older than {head} of the installed {installed}; copy the database, "
            f"then run `{command}`."
        )
    raise StoreError(
        f"{here}, which a newer {package.title} than the installed {installed} made; upgrade the "
        f"package with `pip install --upgrade {package.name}`."
    )


@cache
def _revisions(package: _Package) -> tuple[str | None, frozenset[str]]:
    """The newest schema of the installed package, and all its schemas."""
    spec = find_spec(package.name)
    assert spec is not None
    assert spec.origin is not None
    scripts = ScriptDirectory(str(Path(spec.origin).parent / package.migrations))
    return scripts.get_current_head(), frozenset(s.revision for s in scripts.walk_revisions())


def _revision(package: _Package, url: str) -> str | None:
    """A database's schema; None if it has no tables or no file yet."""
    with _named(package, url):
        engine = _engine(package, url)
        if engine is None:
            return None
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _original_path_named(store: Store) -> Iterator[None]:
    """Within, errors name a read-only store's databases instead of their copies."""
    try:
        yield
    except StoreError as error:
        if store.copied is None:
            raise
        raise StoreError(str(error).replace(str(store.copied), str(store.root))) from None


@contextmanager
def _named(package: _Package, url: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, ImportError, OSError) as error:
        if is_disk_full(error):
            raise
        reason = without_password(str(error).splitlines()[0])
        raise StoreError(
            f"{package.kind} {without_password(url)} cannot be opened ({reason}); "
            f"correct {package.setting} or move the file away."
        ) from None


def _engine(package: _Package, url: str) -> Engine | None:
    address = make_url(url)
    if address.get_backend_name() != "sqlite":
        return create_engine(address, poolclass=NullPool)
    path = Path(address.database or "")
    if not path.is_file():
        return None
    for needed in (path, path.parent):
        if not os.access(needed, os.W_OK):
            raise StoreError(
                f"{package.kind} {url} cannot be used because {needed} is read-only; make it "
                "writable, or use a copy of the store."
            )
    return create_engine("sqlite://", creator=lambda: look_at(path), poolclass=NullPool)


def look_at(path: Path) -> sqlite3.Connection:
    """A connection that neither changes the file nor leaves other files beside it."""
    mode = "mode=ro"
    if path.with_name(f"{path.name}-journal").exists():
        mode = "mode=rw"  # a killed writer's journal must be rolled back
    elif _is_write_ahead(path) and not path.with_name(f"{path.name}-wal").exists():
        mode = "immutable=1"  # no process has it open; another mode would leave two files
    address = f"file:{quote(str(path.absolute()))}?{mode}"
    return sqlite3.connect(address, uri=True, timeout=LOCK_WAIT_SECONDS)


def _is_write_ahead(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(19)[18:] == bytes([WRITE_AHEAD])
