"""Find a trial's files anywhere in the store, by their sha256 in the ledger."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from fashion_hpo.files.audit import wrote
from fashion_hpo.integrity.evidence import FILES, MODEL
from fashion_hpo.running.mirror import Mirror, run_name
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Attempt, Result
from fashion_hpo.stores.model_files import file_hashes
from fashion_hpo.stores.tracking import Tracker


class Files:
    """Finds files by sha256: first in the added folders, then in the whole store."""

    def __init__(self, store: Store) -> None:
        self._paths: dict[str, Path] = {}
        self._unsearched = [store.root / "lost+found", store.artifacts, store.root / "logits"]

    def add(self, folder: Path) -> None:
        """Hash the files of a folder."""
        for name, sha256 in file_hashes(folder).items():
            self._paths[sha256] = folder / name

    def lacks(self, wanted: Mapping[str, str]) -> bool:
        """Whether any of these files is missing from the store."""
        return any(self._find(sha256) is None for sha256 in wanted.values())

    def read(self, sha256: str) -> bytes:
        """A file's bytes; raises FileNotFoundError if the file is missing."""
        path = self._find(sha256)
        if path is None:
            raise FileNotFoundError(sha256)
        return path.read_bytes()

    def gather(self, wanted: Mapping[str, str], folder: Path) -> set[str]:
        """Copy the files that exist to a new folder, by name; returns their names."""
        shutil.rmtree(folder, ignore_errors=True)  # left by a process that died
        sources = {name: path for name, sha256 in wanted.items() if (path := self._find(sha256))}
        for name, source in sources.items():
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
        return set(sources)

    def _find(self, sha256: str) -> Path | None:
        while True:
            path = self._paths.get(sha256)
            if path is not None and path.exists():  # an added folder may have been removed
                return path
            if not self._unsearched:
                return None
            self.add(self._unsearched.pop())


def complete_again(mirror: Mirror, attempt: Attempt, result: Result, files: Files) -> bool:
    """Complete a run from the ledger and the files in the store; False if its model is lost.

    Call this for a trial without a local folder, under the store's lock "claim".  Raises StoreError
    if tracking is away.
    """
    store, uid = mirror.store, attempt.uid
    wanted = dict(result.files)
    if _has_model(mirror.tracker, uid):
        wanted = {name: sha256 for name, sha256 in wanted.items() if name.startswith(FILES)}
    staged = store.root / ".found" / uid
    gathered = files.gather(wanted, staged)
    whole = all(name in gathered for name in wanted if name.startswith(MODEL))
    if gathered:
        (staged / FILES).mkdir(exist_ok=True)
    if gathered and whole:  # renamed, so that a trial's folder is never incomplete
        os.renames(staged, store.trial_folder(uid))
        wrote("files found again")
    if not mirror.complete(attempt, result, bounded=False):
        raise StoreError(f"tracking is away ({mirror.away}); run the same command again later.")
    if _has_model(mirror.tracker, uid):
        epoch = int(result.summaries["kept_epoch"])
        run_id, name = str(mirror.tracker.run_of(uid)), run_name(mirror.ledger, attempt)
        mirror.tracker.log_model(run_id, uid, staged / MODEL, epoch, name)
    if staged.exists():  # the model is lost; upload the other files
        mirror.tracker.log_files(str(mirror.tracker.run_of(uid)), staged / FILES)
    shutil.rmtree(store.root / ".found", ignore_errors=True)
    return whole


def _has_model(tracker: Tracker, uid: str) -> bool:
    model_id = tracker.model_of(uid)
    if model_id is None:
        return False
    return str(tracker.client.get_logged_model(model_id).status) == "READY"
