"""A study's ledger in one file: all results and documents, no models.

The file is a zip archive of an Optuna database and of the trials' files, each named by its sha256.
"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import optuna
from optuna.storages import RDBStorage

from fashion_hpo.design.sentences import study_command
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.evidence import FILES, MODEL, part
from fashion_hpo.integrity.finding import Files
from fashion_hpo.integrity.mending import bring_back
from fashion_hpo.integrity.rebuilding import check_idle
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.stores.copying import backup
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.opening import (
    LAST_DESCRIBED,
    all_ledgers,
    confirmation_of,
    connect,
    ledger_names,
)
from fashion_hpo.stores.tracking import Tracker

DATABASE = "optuna.db"
BY_HASH = "files/"  # prefix of the trials' files in the archive


class Exported(NamedTuple):
    """Counts of what a file holds; `missing`: files of trials that are not in the store."""

    trials: int
    files: int
    missing: int


def export(store: Store, ledger: Ledger, path: Path) -> Exported:
    """Write a ledger, with a search's confirmation, to a file.

    Raises StoreError while a trial is running, and if `path` is another kind of file.
    """
    if path.exists() and not zipfile.is_zipfile(path):
        raise StoreError(f"--to is {path}, which is no exported ledger; name a new file.")
    ledgers = [ledger, *filter(None, [confirmation_of(store, ledger)])]
    results = [e.result for led in ledgers for e in led.entries() if e.result is not None]
    wanted = {sha256 for result in results for sha256 in part(result, FILES).values()}
    files, buffer = Files(store), BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with store.lock("claim"):
            check_idle(store, ledgers)
            archive.writestr(DATABASE, _database(store, ledgers))
        missing = {sha256 for sha256 in wanted if files.lacks({"": sha256})}
        for sha256 in sorted(wanted - missing):
            archive.writestr(f"{BY_HASH}{sha256}", files.read(sha256))
    write_atomically(path, buffer.getvalue())
    return Exported(len(results), len(wanted - missing), len(missing))


def restore(store: Store, path: Path) -> Iterator[str]:
    """Add the ledgers of a file to the store, and log them to MLflow; yields what was done.

    A repetition changes nothing, also after the study has gone on, and ends what a kill cut off.
    Raises StoreError if the file is no exported ledger or altered, or if the store has another
    ledger of the same name.
    """
    with _opened(path) as (given, contents):
        ledgers = all_ledgers(given)
        if not ledgers:
            raise StoreError(f"{path} has no ledger that this version can read.")
        with store.lock("databases"):
            source, storage = connect(given), connect(store)
        lacking = [led for led in ledgers if _lacks(store, source, storage, led)]
        for sha256, content in contents.items():  # where lost files are looked for
            write_atomically(store.root / "lost+found" / ledgers[0].uid / sha256, content)
        for ledger in lacking:
            _copy(source, storage, ledger.name)
        names = {ledger.name for ledger in ledgers}
    for ledger in (ledger for ledger in all_ledgers(store) if ledger.name in names):
        mirror = Mirror(store, ledger, Tracker(store, ledger.plan.name))
        list(bring_back(mirror))
        yield f"{ledger.name} with {len(ledger.entries())} trials is in {store.root}"
        if mirror.away:
            yield f"not in MLflow ({mirror.away}); `python -m fashion_hpo.doctor --fix` logs it"
        elif ledger.remaining():
            command = study_command(ledger.plan.name, ledger.plan.budget)
            yield f"{ledger.remaining()} point(s) are left; {command} goes on"


def _database(store: Store, ledgers: Sequence[Ledger]) -> bytes:
    """A database of these ledgers alone, which expect no models."""
    with TemporaryDirectory() as folder:
        small = Store(Path(folder))
        storage = connect(small)
        for ledger in ledgers:
            _copy(connect(store), storage, ledger.name)
        for ledger in all_ledgers(small):
            done = [e for e in ledger.entries() if e.result is not None and part(e.result, MODEL)]
            ledger.give_up_models(entry.attempt.number for entry in done)
        whole = Path(folder) / "whole.db"
        backup(Path(folder) / DATABASE, whole)
        return whole.read_bytes()


def _copy(source: RDBStorage, target: RDBStorage, name: str) -> None:
    """Copy an Optuna study; goes on with a copy that was begun.

    The attribute by which a ledger counts as created comes last: before, nobody uses the copy.
    """
    study = optuna.load_study(study_name=name, storage=source)
    copy = optuna.create_study(
        study_name=name, storage=target, directions=study.directions, load_if_exists=True
    )
    number = target.get_study_id_from_name(name)
    last = study.user_attrs[LAST_DESCRIBED]
    original = source.get_study_id_from_name(name)
    for key, value in source.get_study_system_attrs(original).items():
        target.set_study_system_attr(number, key, value)
    for key, value in study.user_attrs.items():
        if key != LAST_DESCRIBED:
            copy.set_user_attr(key, value)
    for trial in study.get_trials(deepcopy=False)[len(copy.trials) :]:
        target.create_new_trial(number, template_trial=trial)
        wrote("trial imported")
    copy.set_user_attr(LAST_DESCRIBED, last)
    wrote("ledger imported")


def _lacks(store: Store, source: RDBStorage, storage: RDBStorage, ledger: Ledger) -> bool:
    """Whether the store lacks results of the ledger.

    Raises StoreError if the store has another ledger of this name.
    """
    if ledger.name not in ledger_names(store):
        return True
    given, present = (
        optuna.load_study(study_name=ledger.name, storage=database)
        for database in (source, storage)
    )
    if present.user_attrs.get("uid", ledger.uid) == ledger.uid:
        if LAST_DESCRIBED not in present.user_attrs:  # an import was cut off
            return True
        if _results(given).items() <= _results(present).items():  # the study may have gone on
            return False
    raise StoreError(
        f"store {store.root} has a ledger {ledger.name} already, with other results; name "
        f"another --store, or delete it with `python -m fashion_hpo.delete {ledger.plan.name}`."
    )


def _results(study: optuna.Study) -> dict[int, str]:
    """Each result as text, by the trial's number; as text, because NaN equals nothing."""
    trials = study.get_trials(deepcopy=False)
    return {t.number: str(t.user_attrs["result"]) for t in trials if "result" in t.user_attrs}


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Store, dict[str, bytes]]]:
    """The file's ledgers as a store, and its other files by sha256."""
    try:
        with zipfile.ZipFile(path) as archive, TemporaryDirectory() as folder:
            (Path(folder) / DATABASE).write_bytes(archive.read(DATABASE))
            contents = {
                name.removeprefix(BY_HASH): archive.read(name)
                for name in archive.namelist()
                if name.startswith(BY_HASH)
            }
            for sha256, content in contents.items():
                if hashlib.sha256(content).hexdigest() != sha256:
                    raise StoreError(f"{path} was altered in {sha256}; get the file again.")
            yield Store(Path(folder)), contents
    except (zipfile.BadZipFile, KeyError, FileNotFoundError, IsADirectoryError):
        raise StoreError(
            f"{path} is no exported ledger; name a file that `python -m fashion_hpo.store export "
            "NAME --to FILE` wrote."
        ) from None
