"""Find a trial's files again by their sha256, which the ledger has, wherever they now lie."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.evidence import FILES, MODEL
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Attempt, Result
from fashion_hpo.stores.models import file_hashes
from fashion_hpo.stores.tracking import Tracker


class Files:
    """Files by their content: of the folders that were added, then of the whole store."""

    def __init__(self, store: Store) -> None:
        self._paths: dict[str, Path] = {}
        self._unsearched = [store.root / "lost+found", store.artifacts, store.root / "logits"]

    def add(self, folder: Path) -> None:
        """Look through a folder."""
        for name, sha256 in file_hashes(folder).items():
            self._paths[sha256] = folder / name

    def lacks(self, wanted: Mapping[str, str]) -> bool:
        """Whether some of these files are nowhere in the store."""
        return any(self._find(sha256) is None for sha256 in wanted.values())

    def read(self, sha256: str) -> bytes:
        """A file's bytes; raises FileNotFoundError if it is nowhere."""
        path = self._find(sha256)
        if path is None:
            raise FileNotFoundError(sha256)
        return path.read_bytes()

    def gather(self, wanted: Mapping[str, str], folder: Path) -> set[str]:
        """Put what is found into a new folder, by the names wanted; returns those."""
        shutil.rmtree(folder, ignore_errors=True)  # of a process that died here
        found = {name: path for name, sha256 in wanted.items() if (path := self._find(sha256))}
        for name, path in found.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
        return set(found)

    def _find(self, sha256: str) -> Path | None:
        while True:
            path = self._paths.get(sha256)
            if path is not None and path.exists():  # a folder that was added may be gone
                return path
            if not self._unsearched:
                return None
            self.add(self._unsearched.pop())


def complete_again(mirror: Mirror, attempt: Attempt, result: Result, files: Files) -> bool:
    """Complete a run from the ledger, and link its files, found again; False if its model is lost.

    To be called for a trial that has no local folder, under the store's lock "claim".  Raises
    StoreError if tracking is away.
    """
    store, uid = mirror.store, attempt.uid
    wanted = dict(result.files)
    if _has_model(mirror.tracker, uid):
        wanted = {name: sha256 for name, sha256 in wanted.items() if name.startswith(FILES)}
    staged = store.root / ".found" / uid
    found = files.gather(wanted, staged)
    whole = all(name in found for name in wanted if name.startswith(MODEL))
    if found:
        (staged / FILES).mkdir(exist_ok=True)
    if found and whole:  # renamed, so that a folder of a trial is never half of it
        os.renames(staged, store.trial_folder(uid))
        wrote("files found again")
    if not mirror.complete(attempt, result, bounded=False):
        raise StoreError(f"tracking is away ({mirror.away}); run the same command again later.")
    if _has_model(mirror.tracker, uid):
        epoch = int(result.summaries["kept_epoch"])
        mirror.tracker.log_model(str(mirror.tracker.run_of(uid)), uid, staged / MODEL, epoch)
    if staged.exists():  # without its model the rest is all there is
        mirror.tracker.log_files(str(mirror.tracker.run_of(uid)), staged / FILES)
    shutil.rmtree(store.root / ".found", ignore_errors=True)
    return whole


def _has_model(tracker: Tracker, uid: str) -> bool:
    model_id = tracker.model_of(uid)
    if model_id is None:
        return False
    return str(tracker.client.get_logged_model(model_id).status) == "READY"
