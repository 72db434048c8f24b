"""Checkpoints where every host of a shared ledger can read them.

A trial's checkpoint is a file of its host's store.  A copy here lets another host go on with the
trial, if this host is lost.  The copy begins with a hash of its content: half a copy is no copy.
"""

import hashlib
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import fsspec
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.files.audit import wrote
from fashion_hpo.stores.layout import Store, StoreError, without_password

FAILURES = (OSError, MlflowException, SQLAlchemyError)
"""Of a place that is away: the trial goes on without."""
HASH_BYTES = hashlib.sha256().digest_size


class Place(Protocol):
    """Files by name, each written as a whole."""

    def write(self, name: str, content: bytes) -> None:
        """Write or replace a file."""

    def read(self, name: str) -> bytes | None:
        """A file's content; None if there is no such file."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it exists."""

    def sizes(self, folder: str) -> dict[str, int]:
        """The files of a folder, by name, in bytes; none if there is no such folder."""
        ...


class SharedFolder:
    """A folder at any address that fsspec knows: a path that hosts share, s3://, gs://, ..."""

    def __init__(self, address: str) -> None:
        """Raises StoreError unless a file can be written there."""
        try:
            self._files, self._root = fsspec.core.url_to_fs(address)
            self.write("probe", b"")
            self.remove("probe")
        except ImportError as error:
            raise StoreError(
                f"--checkpoints is {without_password(address)}, which needs another package "
                f"({error}); install it on every host."
            ) from None
        except (OSError, ValueError) as error:
            raise StoreError(
                f"--checkpoints is {without_password(address)}, where no file can be written "
                f"({without_password(str(error))}); name a folder or an address that every host "
                "can write to."
            ) from None

    def write(self, name: str, content: bytes) -> None:
        """See `Place`: written under another name, then renamed."""
        path = f"{self._root}/{name}"
        partial = f"{path}.{uuid.uuid4().hex}"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(partial, content)
        self._files.mv(partial, path)

    def read(self, name: str) -> bytes | None:
        """See `Place`."""
        try:
            content: bytes = self._files.cat_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return None
        return content

    def remove(self, name: str) -> None:
        """See `Place`."""
        try:
            self._files.rm_file(f"{self._root}/{name}")
        except FileNotFoundError:
            return

    def sizes(self, folder: str) -> dict[str, int]:
        """See `Place`."""
        try:
            files = self._files.ls(f"{self._root}/{folder}", detail=True)
        except FileNotFoundError:
            return {}
        return {f"{folder}/{Path(file['name']).name}": int(file["size"]) for file in files}

    def remove_folder(self, folder: str) -> None:
        """Remove a folder with its files, if it exists."""
        if self._files.exists(f"{self._root}/{folder}"):
            self._files.rm(f"{self._root}/{folder}", recursive=True)


class RunArtifacts:
    """Artifacts of a study's run on a tracking server, in the folder `checkpoints`."""

    def __init__(self, uri: str, artifact_uri: Callable[[], str]) -> None:
        self._uri = uri
        self._artifact_uri = artifact_uri

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / Path(name).name
            path.write_bytes(content)
            self._repository().log_artifact(str(path), self._folder(name))

    def read(self, name: str) -> bytes | None:
        """See `Place`."""
        path = f"{self._folder(name)}/{Path(name).name}"
        repository = self._repository()
        if path not in {file.path for file in repository.list_artifacts(self._folder(name))}:
            return None
        with tempfile.TemporaryDirectory() as folder:
            return Path(repository.download_artifacts(path, folder)).read_bytes()

    def remove(self, name: str) -> None:
        """See `Place`."""
        self._repository().delete_artifacts(f"{self._folder(name)}/{Path(name).name}")

    def sizes(self, folder: str) -> dict[str, int]:
        """See `Place`."""
        files = self._repository().list_artifacts(f"checkpoints/{folder}")
        return {f"{folder}/{Path(file.path).name}": int(file.file_size) for file in files}

    def _folder(self, name: str) -> str:
        return f"checkpoints/{name.rpartition('/')[0]}"

    def _repository(self) -> Any:
        return get_artifact_repository(self._artifact_uri(), tracking_uri=self._uri)


class SharedCheckpoints:
    """The copies of one ledger's checkpoints; no failure of their place costs a trial."""

    def __init__(self, place: Place, ledger_uid: str) -> None:
        self._place = place
        self._ledger_uid = ledger_uid

    def put(self, point: str, content: bytes) -> bool:
        """Copy a point's checkpoint; False if the place is away."""
        try:
            self._place.write(self._name(point), hashlib.sha256(content).digest() + content)
        except FAILURES:
            return False
        wrote("checkpoint copied")
        return True

    def get(self, point: str) -> bytes | None:
        """The copy of a point's checkpoint; None without a whole copy, or if the place is away."""
        try:
            copy = self._place.read(self._name(point))
        except FAILURES:
            return None
        if copy is None or hashlib.sha256(copy[HASH_BYTES:]).digest() != copy[:HASH_BYTES]:
            return None
        return copy[HASH_BYTES:]

    def remove(self, point: str) -> None:
        """Remove the copy; if the place is away, the copy stays and harms nothing."""
        try:
            self._place.remove(self._name(point))
        except FAILURES:
            return
        wrote("checkpoint's copy removed")

    def _name(self, point: str) -> str:
        return f"{self._ledger_uid}/{point}.pt"


def place_of(store: Store, artifact_uri: Callable[[], str]) -> Place | None:
    """The place of a store's copies; None if no other host shares its ledger.

    By default, that is the artifact store of the tracking server.
    """
    if store.checkpoints is not None:
        return SharedFolder(store.checkpoints)
    if store.is_shared:
        return RunArtifacts(store.tracking_uri, artifact_uri)
    return None
