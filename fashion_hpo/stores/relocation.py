"""Correct MLflow's artifact addresses after the store's folder was moved or copied.

The addresses are absolute: uncorrected, loading fails, and new runs create the old folder again.
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
    ("model_versions", "source"),  # models:/… in our versions, a path in other programs'
)
OURS = """
    SELECT artifact_location FROM experiments AS e WHERE artifact_location IS NOT NULL AND (
        EXISTS (SELECT 1 FROM runs JOIN tags USING (run_uuid)
                WHERE experiment_id = e.experiment_id AND key = 'fashion_hpo.kind')
        OR NOT EXISTS (SELECT 1 FROM runs WHERE experiment_id = e.experiment_id))
"""


def relocate(store: Store) -> str | None:
    """Write the store's present folder into its tracking database; returns a sentence about it.

    Returns None, and writes nothing, if the store was not moved or tracking is a server.  Call this
    before a Tracker is created, without holding the store's lock "databases".  Raises StoreError,
    and changes no address, if the database is another store's or cannot be written.
    """
    database = _file_of(store) if store.tracking else store.databases / "mlflow.db"
    if database is None or not database.exists():
        return None
    with store.lock("databases"):
        old = relocate_database(database, store.root)
    if not old:
        return None
    folders = " and ".join(str(root) for root in old)
    return f"the store was moved from {folders}: MLflow's files are now looked for in {store.root}"


def _file_of(store: Store) -> Path | None:
    """The sqlite file of a tracking database outside the store; None for other kinds.

    Raises StoreError if the database is another store's: the runs of both stores would mix, and
    correcting the addresses would break the other store.  A named folder that no longer exists,
    while its runs' files are here, was this store's folder.
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
        return None  # the next function that opens the database reports the error
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
    """The store folders that a database names, and the folders of its runs' files."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        if not inspect(connection).has_table("experiments"):
            return set(), []
        experiments = connection.scalars(text(OURS)).all()
        runs = connection.scalars(text("SELECT artifact_uri FROM runs")).all()
    paths = (artifact_folder(address) for address in runs if address)
    return set(_store_folders(experiments)), [path for path in paths if path is not None]


def relocate_database(database: Path, root: Path) -> list[Path]:
    """Replace the store's former folders by `root`; returns the former folders."""
    try:
        with closing(connect_file(database)) as connection:
            experiments = [location for (location,) in connection.execute(OURS)]
            old = sorted(set(_store_folders(experiments)) - {root})
            if old:
                _replace(connection, old, root)
    except sqlite3.Error as error:
        raise StoreError(
            f"the addresses in {database} cannot be changed to {root} ({error}); make that file "
            "writable, or move the folder back."
        ) from None
    return old


def connect_file(database: Path) -> sqlite3.Connection:
    """Open a sqlite file; its calls wait for other writers and commit one by one."""
    return sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS, isolation_level=None)


def _store_folders(experiments: Iterable[str]) -> Iterator[Path]:
    """The store folders in the artifact locations of our experiments."""
    for location in experiments:
        path = artifact_folder(location)
        if path is not None and path.parent.name == "artifacts":
            yield path.parents[1]


def _replace(connection: sqlite3.Connection, old: list[Path], root: Path) -> None:
    """Replace the folders in all tables, in one transaction."""
    connection.create_function("moved", 1, lambda address: _moved(address, old, root))
    connection.execute("BEGIN IMMEDIATE")
    for table, column in ADDRESSES:
        changed = f"UPDATE {table} SET {column} = moved({column})"
        connection.execute(f"{changed} WHERE {column} != moved({column})")
    connection.execute("COMMIT")


def _moved(address: str | None, old: list[Path], root: Path) -> str | None:
    """The address below `root` if it is below an old folder; the folders may be nested."""
    path = None if address is None else artifact_folder(address)
    holders = [folder for folder in (root, *old) if path and path.is_relative_to(folder)]
    nearest = max(holders, key=lambda folder: len(folder.parts), default=root)
    if path is None or address is None or nearest == root:
        return address
    moved = root / path.relative_to(nearest)
    return moved.as_uri() if address.startswith("file:") else artifact_location(moved)
