"""Look at a store that cannot be written to: through copies of its databases.

Opening a database writes: Optuna and MLflow make what they miss, sqlite makes files beside it, and
their locks are files too.  So what only looks at a read-only store has both databases, as they are
now, in a temporary folder; all other files are read where they are.
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

BESIDE = ("-wal", "-journal")  # what a killed writer left, without which a database is not whole


def store_to_read(root: Path, storage: str | None = None) -> Store:
    """The store in a folder, for what only looks; it may be read-only, or not there yet.

    The copies of a read-only one go when this process ends.  Raises StoreError if it is a file, or
    has a database that cannot be read.
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
    if store.tracking is None:  # one elsewhere is not a copy
        relocate(store)
    return store


def store_to_load_from(root: Path, storage: str | None = None) -> Store:
    """The same for what loads models or shows files: MLflow's database names the folder it is in,
    also where the store was moved.

    Raises StoreError as well if there is no such database.
    """
    store = store_to_read(root, storage)
    store.check_tracking()
    relocate(store)
    return store


def _copy(database: Path, copy: Path) -> None:
    """As it is at one moment, also while others write to it."""
    try:
        with closing(look_at(database)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
    except sqlite3.OperationalError:  # a killed writer left it: nobody writes, and sqlite may not
        copy.unlink(missing_ok=True)
        shutil.copy(database, copy)
        for suffix in BESIDE:
            with suppress(FileNotFoundError):
                shutil.copy(f"{database}{suffix}", f"{copy}{suffix}")
        for path in copy.parent.glob(f"{copy.name}*"):
            path.chmod(0o600)
