"""Read a read-only store through temporary copies of its databases.

Opening a database writes: Optuna and MLflow create missing tables, sqlite creates files beside the
database, and locks are files too.  All other files are read in place.
"""

import atexit
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

from fashion_hpo.stores.copying import DATABASES
from fashion_hpo.stores.layout import Store, StoreError, is_writable
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.schema import look_at

BESIDE = ("-wal", "-journal")  # files of a killed writer, without which a database is incomplete


def store_to_read(root: Path, storage: str | None = None) -> Store:
    """The store in a folder, for reading only; the folder may be read-only or absent.

    A read-only store's databases are copied; the copies are removed when this process ends.  Raises
    StoreError if `root` is a file or a database cannot be read.
    """
    store = Store.named(root, storage)
    databases = [path for name in DATABASES if (path := store.root / name).exists()]
    if is_writable(store.root) and all(os.access(path, os.W_OK) for path in databases):
        return store
    folder = Path(mkdtemp(prefix="fashion_hpo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path in databases:
        try:
            _copy(path, folder / path.name)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(
                f"store {store.root} is read-only, and {path} cannot be read ({error}); use a "
                "whole copy of the store that you may write to."
            ) from None
    store = replace(store, copied=folder)
    if store.tracking is None:  # only a copied database may be changed
        relocate(store)
    return store


def store_to_load_from(root: Path, storage: str | None = None) -> Store:
    """The store in a folder, for loading models or files by the addresses in MLflow's database.

    The addresses are corrected if the store was moved.  Raises StoreError as `store_to_read` does,
    and if there is no MLflow database.
    """
    store = store_to_read(root, storage)
    store.check_tracking()
    relocate(store)
    return store


def _copy(database: Path, copy: Path) -> None:
    """Copy a database as it is at one moment, even while other processes write to it."""
    try:
        with closing(look_at(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.OperationalError:  # left by a killed writer; sqlite cannot recover it here
        copy.unlink(missing_ok=True)
        shutil.copy(database, copy)
        for suffix in BESIDE:
            with suppress(FileNotFoundError):
                shutil.copy(f"{database}{suffix}", f"{copy}{suffix}")
        for path in copy.parent.glob(f"{copy.name}*"):
            path.chmod(0o600)
