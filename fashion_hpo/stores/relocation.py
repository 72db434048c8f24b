"""Put MLflow's artifact addresses right after the store's folder was moved or copied.

They are absolute: without this, loading fails, and new runs make the old folder again.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.stores.addresses import (
    TRACKING_URI,
    artifact_folder,
    artifact_location,
    is_server,
)
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.schema import LOCK_WAIT_SECONDS

ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
    ("model_versions", "source"),  # models:/… as we write it, a path from other programs
)
OURS = """
    SELECT artifact_location FROM experiments AS e WHERE artifact_location IS NOT NULL AND (
        EXISTS (SELECT 1 FROM runs JOIN tags USING (run_uuid)
                WHERE experiment_id = e.experiment_id AND key = 'fashion_hpo.kind')
        OR NOT EXISTS (SELECT 1 FROM runs WHERE experiment_id = e.experiment_id))
"""


def relocate(store: Store) -> str | None:
    """Let the store's tracking database name the folder it is in; what was done, in a sentence.

    None, with nothing written, where nothing was moved or tracking is a server.  To be called
    before a Tracker is made, without the store's lock "databases".  Raises StoreError if the
    database is another store's, or cannot be written; then all addresses are as they were.
    """
    database = _file_of(store) if store.tracking else store.databases / "mlflow.db"
    if database is None or not database.exists():
        return None
    with store.lock("databases"):
        old = relocate_database(database, store.root)
    if not old:
        return None
    places = " and ".join(str(root) for root in old)
    return f"the store was moved from {places}: MLflow's files are now looked for in {store.root}"


def _file_of(store: Store) -> Path | None:
    """The sqlite file of a tracking database elsewhere; None for other kinds and for a server.

    Raises StoreError if the database is another store's: whatever either logs would land in one of
    them, and moving that would break both.  A folder that is gone, with its runs' files here, was
    this store's.
    """
    if is_server(store.tracking_uri):
        return None
    url = make_url(store.tracking_uri)
    file = Path(str(url.database)) if url.get_backend_name() == "sqlite" else None
    if file is not None and not file.exists():
        return None
    try:
        folders, runs = _named_folders(url)
    except SQLAlchemyError:
        return None  # who opens it next tells why it cannot be opened
    for folder in folders - {store.root}:
        files = [path.relative_to(folder) for path in runs if path.is_relative_to(folder)]
        is_here = any((store.root / path).exists() for path in files)
        if file is None or not is_here or any((folder / path).exists() for path in files):
            raise StoreError(
                f"{TRACKING_URI} is the database of the store {folder}; unset it to track in "
                f"{store.root / 'mlflow.db'}, or run `mlflow server` with that database and name "
                "its http address."
            )
    return file


def _named_folders(url: URL) -> tuple[set[Path], list[Path]]:
    """The stores that a database names, and the folders of its runs' files."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        if not inspect(connection).has_table("experiments"):
            return set(), []
        experiments = connection.scalars(text(OURS)).all()
        runs = connection.scalars(text("SELECT artifact_uri FROM runs")).all()
    paths = (artifact_folder(address) for address in runs if address)
    return set(_store_folders(experiments)), [path for path in paths if path is not None]


def relocate_database(database: Path, root: Path) -> list[Path]:
    """Write `root` in place of the folders that were the store's, and return those."""
    try:
        with closing(_connect(database)) as connection:
            experiments = [location for (location,) in connection.execute(OURS)]
            old = sorted(set(_store_folders(experiments)) - {root})
            if old:
                _replace(connection, old, root)
    except sqlite3.Error as error:
        raise StoreError(
            f"the files that {database} names cannot be found again in {root} ({error}); "
            "make that file writable, or put the folder back where it was."
        ) from None
    return old


def _connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS, isolation_level=None)


def _store_folders(experiments: Iterable[str]) -> Iterator[Path]:
    """Where our experiments say that the store is; one without runs may be ours."""
    for location in experiments:
        path = artifact_folder(location)
        if path is not None and path.parent.name == "artifacts":
            yield path.parents[1]


def _replace(connection: sqlite3.Connection, old: list[Path], root: Path) -> None:
    """All tables or none."""
    connection.create_function("moved", 1, lambda address: _moved(address, old, root))
    connection.execute("BEGIN IMMEDIATE")
    for table, column in ADDRESSES:
        changed = f"UPDATE {table} SET {column} = moved({column})"
        connection.execute(f"{changed} WHERE {column} != moved({column})")
    connection.execute("COMMIT")


def _moved(address: str | None, old: list[Path], root: Path) -> str | None:
    """The address in the new folder, if it is in an old one; one may lie in the other."""
    path = None if address is None else artifact_folder(address)
    holders = [folder for folder in (root, *old) if path and path.is_relative_to(folder)]
    nearest = max(holders, key=lambda folder: len(folder.parts), default=root)
    if path is None or address is None or nearest == root:
        return address
    there = root / path.relative_to(nearest)
    return there.as_uri() if address.startswith("file:") else artifact_location(there)
