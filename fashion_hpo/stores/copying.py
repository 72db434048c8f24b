"""Copy a store while studies run: the copy is what a kill at one moment would have left."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.relocation import relocate_database
from fashion_hpo.stores.schema import LOCK_WAIT_SECONDS

DATABASES = ("optuna.db", "mlflow.db")
BEFORE = ("checkpoints", "logits")  # what no result must lack
AT_ONCE = ("trials", "logits")  # with the databases: of the logits those that are new


def copy_store(store: Store, target: Path) -> Store:
    """Copy the whole folder to a new one, which is then a store of its own.

    Both databases are copied at one moment, at which their writers wait, and with them the files
    of trials under way: these go once a trial is in the mirror.  Checkpoints and logits are copied
    before, so that none is missing, and new logits then; artifacts after, so that none that the
    database names is.  The target appears when it is complete.

    Raises StoreError if a database is elsewhere or the target cannot be a new store.
    """
    target = target.resolve()
    _check(store, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            made = Path(folder) / "store"
            _copy(store, made)
            if (made / "mlflow.db").exists():
                relocate_database(made / "mlflow.db", target)
            os.replace(made, target)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(
            f"store {store.root} cannot be copied to {target} ({error}); nothing was left there, "
            "so mend that and copy again."
        ) from None
    return Store(target)


def _copy(store: Store, made: Path) -> None:
    root = store.root
    made.mkdir()
    for name in BEFORE:
        _copy_files(root / name, made / name)
    databases = [path for name in DATABASES if (path := store.databases / name).exists()]
    with _writers_wait(databases):
        for database in databases:
            _backup(database, made / database.name)
        for name in AT_ONCE:
            _copy_files(root / name, made / name)
    for path in root.iterdir():
        if path.is_dir() and path.name not in (*BEFORE, *AT_ONCE):
            _copy_files(path, made / path.name)
        elif path.is_file() and not path.name.startswith((*DATABASES, ".")):
            shutil.copy2(path, made)


def _check(store: Store, target: Path) -> None:
    if store.storage or store.tracking:
        raise StoreError(
            f"store {store.root} has a database elsewhere, which is not copied; copy that with its "
            "own tools, or leave out --storage and MLFLOW_TRACKING_URI."
        )
    if target.is_relative_to(store.root):
        raise StoreError(f"the copy {target} would lie in the store itself; name a place outside.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"the copy's place {target} is not empty; name a new folder.")


@contextmanager
def _writers_wait(databases: list[Path]) -> Iterator[None]:
    """Within, nobody writes to the databases; reading goes on."""
    if not databases:
        yield
        return
    with closing(_connect(databases[0])) as connection, _writers_wait(databases[1:]):
        connection.execute("BEGIN IMMEDIATE")
        yield


def _backup(database: Path, copy: Path) -> None:
    copy.touch()  # with the umask's permissions, not sqlite's
    with closing(_connect(database)) as source, closing(_connect(copy)) as there:
        source.backup(there)


def _connect(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(database, timeout=LOCK_WAIT_SECONDS, isolation_level=None)


def _copy_files(source: Path, target: Path) -> None:
    """Copy a folder's files, apart from locks; one that is removed meanwhile is left out."""
    for folder, _, names in os.walk(source):
        there = target / Path(folder).relative_to(source)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name != "lock" and not (there / name).exists():
                with suppress(FileNotFoundError):
                    shutil.copy2(Path(folder) / name, there / name)
