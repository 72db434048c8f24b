"""Put MLflow's artifact addresses right after the store's folder was moved or copied.

They are absolute: without this, loading fails, and new runs make the old folder again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from fashion_hpo.stores.addresses import artifact_folder, artifact_location
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
    database cannot be written; then all addresses are as they were.
    """
    database = store.databases / "mlflow.db"
    if store.tracking is not None or not database.exists():
        return None
    with store.lock("databases"):
        old = relocate_database(database, store.root)
    if not old:
        return None
    places = " and ".join(str(root) for root in old)
    return f"the store was moved from {places}: MLflow's files are now looked for in {store.root}"


def relocate_database(database: Path, root: Path) -> list[Path]:
    """Write `root` in place of the folders that were the store's, and return those."""
    try:
        with closing(_connect(database)) as connection:
            old = sorted({folder for folder in _store_folders(connection) if folder != root})
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


def _store_folders(connection: sqlite3.Connection) -> Iterator[Path]:
    """Where our experiments say that the store is; one without runs may be ours."""
    for (location,) in connection.execute(OURS):
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
