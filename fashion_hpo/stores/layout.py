"""Files and folders of a store: two databases, artifacts, checkpoints and running trials."""

import json
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from filelock import FileLock

from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.stores.addresses import (
    checked_storage,
    checked_tracking,
    is_server,
    sqlite_url,
)

ID = re.compile(r"[\w-]{1,80}")
"""The ids of trials, ledgers and points in paths; other names belong to other programs."""


class StoreError(ValueError):
    """A store cannot be used as it is."""


@dataclass(frozen=True)
class Store:
    """A folder, by default mlruns/, and the databases' addresses.

    `storage` and `tracking` are addresses of databases or servers outside the folder.  By default
    both are sqlite files in the folder: two, because Optuna and MLflow both own a table
    `alembic_version`.
    """

    root: Path
    storage: str | None = None
    tracking: str | None = None
    checkpoints: str | None = None  # a folder or address for the copies of checkpoints
    copied: Path | None = None  # the folder of the databases' copies if the store is read-only

    @classmethod
    def at(cls, root: Path, storage: str | None = None) -> "Store":
        """The store in a folder; addresses come from the arguments, then the environment.

        The folder is created at the first write.  Raises StoreError if `root` is a file, is not
        writable or has a name that is not UTF-8, and AddressError for an unusable address.  To read
        only, call `reading.store_to_read`.
        """
        store = cls.named(root, storage)
        if not is_writable(store.root):
            raise StoreError(f"store {store.root} is read-only; name another with --store.")
        return store

    @classmethod
    def named(cls, root: Path, storage: str | None = None) -> "Store":
        """The store in a folder that need not be writable; raises as `at` does."""
        root = _resolved(root)
        if not _nearest(root).is_dir():
            raise StoreError(f"store {root} is a file; name a folder with --store.")
        if storage is None:
            storage = os.environ.get("FASHION_HPO_STORAGE") or None
        tracking = os.environ.get("MLFLOW_TRACKING_URI")
        store = cls(
            root,
            None if storage is None else checked_storage(storage),
            checked_tracking(tracking) if tracking else None,
        )
        store._check_not_moved()
        return store

    @property
    def moved(self) -> Path:
        """Exists after `store move`: the addresses of the databases that replace those here."""
        return self.root / "moved.json"

    def mark_as_moved(self, storage: str | None, tracking: str | None) -> None:
        """Refuse the folder's own databases from now on; None where the folder's one stays."""
        addresses = {"storage": storage, "tracking": tracking}
        shown = {name: without_password(url) for name, url in addresses.items() if url}
        write_atomically(self.moved, json.dumps(shown).encode())

    def _check_not_moved(self) -> None:
        if not self.moved.exists():
            return
        moved = json.loads(self.moved.read_text(encoding="utf-8"))
        for name, given, variable in (
            ("storage", self.storage, "FASHION_HPO_STORAGE"),
            ("tracking", self.tracking, "MLFLOW_TRACKING_URI"),
        ):
            if name in moved and given is None:
                export = f"`export {variable}={shlex.quote(moved[name])}`"
                raise StoreError(
                    f"store {self.root} was moved to {moved[name]}; type {export} first, with the "
                    f"password where *** stands, or remove {self.moved} to use the old databases."
                )

    @property
    def databases(self) -> Path:
        """The folder of the databases and of the locks that guard them."""
        return self.copied or self.root

    @property
    def is_shared(self) -> bool:
        """Whether the ledger and MLflow are on servers, which other hosts can reach as well."""
        has_server = self.tracking is not None and is_server(self.tracking)
        return has_server and self.storage is not None and not self.storage.startswith("sqlite")

    @property
    def ledger_url(self) -> str:
        """Optuna's database."""
        return self.storage or sqlite_url(self.databases / "optuna.db")

    @property
    def has_ledgers(self) -> bool:
        """Whether Optuna's database exists; opening an absent database would create it."""
        return self.storage is not None or (self.databases / "optuna.db").exists()

    @property
    def tracking_uri(self) -> str:
        """MLflow's database or server."""
        return self.tracking or sqlite_url(self.databases / "mlflow.db")

    def check_tracking(self) -> None:
        """Raise StoreError if MLflow's database is absent: opening it would create it."""
        if self.tracking is None and not (self.databases / "mlflow.db").exists():
            raise StoreError(f"store {self.root} has no mlflow.db; run a study first.")

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts, if its database is in the store."""
        return self.root / "artifacts"

    @property
    def openings_log(self) -> Path:
        """The log of every opening of the gate and test images."""
        return self.root / "final_images.jsonl"

    def checkpoint(self, ledger_uid: str, point: str) -> Path:
        """A point's checkpoint in one ledger, from which the point's next attempt resumes."""
        return self.root / "checkpoints" / _confined(ledger_uid) / f"{_confined(point)}.pt"

    def logits(self, uid: str) -> Path:
        """A trial's logits of every validation image, on which verdicts rest."""
        ledger_uid = uid.rpartition("-")[0]
        return self.root / "logits" / _confined(ledger_uid) / f"{_confined(uid)}.npz"

    def keep_logits(self, uid: str, content: bytes) -> None:
        """Write a trial's logits."""
        write_atomically(self.logits(uid), content)

    def remove_logits(self, uid: str) -> None:
        """Remove the logits, whole or half written, of a trial that ended without a result."""
        whole = self.logits(uid)
        for path in (whole, *whole.parent.glob(f".{whole.name}.*")):
            path.unlink(missing_ok=True)

    def backbone(self, ledger_uid: str, key: str) -> Path:
        """The initial weights of one ledger's trials, taken from the model that the study names."""
        return self.root / "backbones" / _confined(ledger_uid) / f"{_confined(key)}.pt"

    def report(self, name: str) -> Path:
        """The folder of a study's report page."""
        return self.root / "reports" / name

    def trial_folder(self, uid: str) -> Path:
        """A trial's files, until they are in the mirror."""
        return self.root / "trials" / _confined(uid)

    def trials_under_way(self) -> set[str]:
        """The uids of trials with a folder: running, dead, or not yet in the mirror."""
        folder = self.root / "trials"
        paths = folder.iterdir() if folder.exists() else ()
        return {path.name for path in paths if path.is_dir() and ID.fullmatch(path.name)}

    def trial_lock(self, uid: str) -> FileLock:
        """Held while the trial's process lives; the kernel releases the lock at any death."""
        self.trial_folder(uid).mkdir(parents=True, exist_ok=True)
        return FileLock(self.trial_folder(uid) / "lock")

    def check_space(self) -> None:
        """Raise OSError if a megabyte cannot be written to the folder."""
        with tempfile.NamedTemporaryFile(dir=self.root) as probe:
            probe.write(bytes(2**20))
            probe.flush()

    def remove_trial_files(self, uid: str) -> None:
        """Remove a trial's folder, once the trial is in the mirror."""
        shutil.rmtree(self.trial_folder(uid), ignore_errors=True)

    def lock(self, name: str) -> FileLock:
        """A lock between all processes on this host."""
        self.databases.mkdir(parents=True, exist_ok=True)
        return FileLock(self.databases / f".{name}.lock")


def is_writable(folder: Path) -> bool:
    """Whether a folder is writable; of an absent folder, its nearest existing parent."""
    return os.access(_nearest(folder), os.W_OK | os.X_OK)


def _nearest(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


def _resolved(root: Path) -> Path:
    """The absolute folder, with links followed."""
    root = root.absolute()
    for path in (root, *root.parents):
        if path.is_symlink() and not path.exists():
            raise StoreError(
                f"store {root} cannot be used because the target of the link {path} does not "
                "exist; remove the link, or name another folder with --store."
            )
    try:
        str(root).encode()
    except UnicodeEncodeError:
        raise StoreError(
            f"store {str(root)!r} has a name that is not UTF-8, which the databases cannot store; "
            "rename the folder, or name another with --store."
        ) from None
    return root.resolve()


def _confined(name: str) -> str:
    """An id from a database, to which others may write, checked before it enters a path."""
    if not ID.fullmatch(name):
        raise StoreError(f"the ledger has the id {name!r}; allowed are letters, digits, - and _.")
    return name


def without_password(text: str) -> str:
    """A URL, or a text with URLs, with its secrets replaced by ***.

    Secrets are: passwords up to the last @, because they may contain any character; everything
    before the @ of an http(s) URL, where a token may stand as the user name; and the values of
    parameters with a secret's name.
    """
    return _PARAMETER.sub(r"\1***", _USERINFO.sub(_hidden, text))


def tags_without_passwords(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags without secrets: the address of a git remote, for example, may hold a password."""
    return {key: without_password(value) for key, value in tags.items()}


def passwords_in(url: str) -> set[str]:
    """The secrets in one URL, both as written and percent-decoded."""
    secrets = {match[0].partition("=")[2] for match in _PARAMETER.finditer(url)}
    scheme, _, rest = url.partition("://")
    userinfo, _, _ = rest.rpartition("@")
    user, colon, password = userinfo.partition(":")
    if _has_secret(scheme, userinfo):
        secrets.add(password if colon else user)
    return {form for secret in secrets if secret for form in (secret, unquote(secret))}


_USERINFO = re.compile(r"([a-z][a-z0-9+.-]*)://(\S*)@", re.IGNORECASE)
_PARAMETER = re.compile(
    r"((?:^|[?&;\s])[\w.-]*(?:passw|pwd|secret|token|api_?key|credential|signature)[\w.-]*=)[^&\s]+",
    re.IGNORECASE,
)


def _hidden(match: re.Match[str]) -> str:
    scheme, userinfo = match.groups()
    if not _has_secret(scheme, userinfo):
        return match[0]
    user = "" if _is_web(scheme) else f"{userinfo.partition(':')[0]}:"
    return f"{scheme}://{user}***@"


def _has_secret(scheme: str, userinfo: str) -> bool:
    """Whether the part before the @ holds a password or token, not just a user or a path."""
    if userinfo.startswith("/"):
        return False
    return ":" in userinfo or (_is_web(scheme) and userinfo != "" and "/" not in userinfo)


def _is_web(scheme: str) -> bool:
    return scheme.lower() in ("http", "https")
