"""Copy a store while studies run: the copy equals the store after a kill at one moment."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.relocation import connect_file, relocate_database

DATABASES = ("optuna.db", "mlflow.db")
BEFORE = ("checkpoints", "logits")  # copied before the databases: no result may lack them
AT_ONCE = ("trials", "logits")  # copied together with the databases; logits: the new files


def copy_store(store: Store, target: Path) -> Store:
    """Copy the store to a new folder, which becomes an independent store.

    Both databases are copied at one moment while their writers wait, together with the files of
    running trials, which are removed once a trial is in the mirror.  Checkpoints and logits are
    copied before, artifacts after, so that the copied databases name no missing file.  The target
    appears when the copy is complete.

    Raises StoreError if a database is outside the store's folder or the target cannot be created.
    """
    target = target.resolve()
    _check(store, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            copy = Path(folder) / "store"
            _copy(store, copy)
            if (copy / "mlflow.db").exists():
                relocate_database(copy / "mlflow.db", target)
            os.replace(copy, target)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"store {store.root} cannot be copied to {target} ({error}); remove the cause and copy "
            "again."
        ) from None
    return Store(target)


def _copy(store: Store, target: Path) -> None:
    root = store.root
    target.mkdir()
    for name in BEFORE:
        _copy_files(root / name, target / name)
    databases = [path for name in DATABASES if (path := store.databases / name).exists()]
    with _writers_wait(databases):
        for database in databases:
            backup(database, target / database.name)
        for name in AT_ONCE:
            _copy_files(root / name, target / name)
    for path in root.iterdir():
        if path.is_dir() and path.name not in (*BEFORE, *AT_ONCE):
            _copy_files(path, target / path.name)
        elif path.is_file() and not path.name.startswith((*DATABASES, ".")):
            shutil.copy2(path, target)


def _check(store: Store, target: Path) -> None:
    if store.storage or store.tracking:
        raise StoreError(
            f"store {store.root} has a database outside its folder, which is not copied; copy the "
            "database with its own tools, or leave out --storage and MLFLOW_TRACKING_URI."
        )
    if target.is_relative_to(store.root):
        raise StoreError(f"the copy {target} would lie inside the store; name a folder outside.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"the target {target} is not empty; name a new folder.")


@contextmanager
def _writers_wait(databases: list[Path]) -> Iterator[None]:
    """Within, no process writes to the databases; reading goes on."""
    if not databases:
        yield
        return
    with closing(connect_file(databases[0])) as connection, _writers_wait(databases[1:]):
        connection.execute("BEGIN IMMEDIATE")
        yield


def backup(database: Path, copy: Path) -> None:
    """Copy a sqlite database, late writes included, to one new file."""
    copy.touch()  # with the umask's permissions, not sqlite's
    with closing(connect_file(database)) as source, closing(connect_file(copy)) as destination:
        source.backup(destination)


def _copy_files(source: Path, target: Path) -> None:
    """Copy a folder's files except locks; a file that is removed meanwhile is left out."""
    for folder, _, names in os.walk(source):
        copies = target / Path(folder).relative_to(source)
        copies.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name != "lock" and not (copies / name).exists():
                with suppress(FileNotFoundError):
                    shutil.copy2(Path(folder) / name, copies / name)
