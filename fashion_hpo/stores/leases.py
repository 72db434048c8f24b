"""Liveness across hosts: a running trial's lease, on the database's clock.

On one host a held file lock shows that a trial is alive.  Where several hosts share a database,
each running trial also has a lease, which its process renews.  The clocks and time zones of the
hosts are never compared.
"""

import platform
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.stores.layout import Store

LEASE_SECONDS = 120.0
RENEW_SECONDS = 20.0


def machine() -> str:
    """What tells this host from another of the same name: its start, where Linux numbers it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return f"{uuid.getnode():x}"


class Leases:
    """The leases of one store's trials in a database that other hosts may share."""

    def __init__(self, store: Store, storage: RDBStorage) -> None:
        self.host = f"{platform.node()}:{store.root}"
        # Two hosts may have the same name and share the folder; locks would not part them.
        self.holder = f"{platform.node()}@{machine()}:{store.root}"
        self._storage = storage

    def take(self, trial_id: int) -> None:
        """Write or renew this store's lease on a trial; raises the database's errors."""
        self._grant(trial_id, self.holder)

    def lend(self, trial_id: int) -> None:
        """Give a running trial its first lease: unless a process renews it, the trial is dead."""
        self._grant(trial_id, "unknown")

    def is_foreign(self, lease: Mapping[str, Any]) -> bool:
        """Whether another host or store holds the trial, whose file locks are invisible here."""
        return bool(lease["holder"] != self.holder)

    def has_expired(self, lease: Mapping[str, Any]) -> bool:
        """Whether the trial's process failed to renew the lease in time."""
        return self.now() > float(lease["until"])

    def now(self) -> float:
        """Seconds since 1970 on the database's clock."""
        with self._storage.engine.connect() as connection:
            time: datetime = connection.execute(select(func.current_timestamp())).scalar_one()
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()

    @contextmanager
    def renewed(self, trial_id: int) -> Iterator[None]:
        """Within, a thread renews the lease; a failed renewal is retried at the next interval."""
        ended = threading.Event()
        thread = threading.Thread(target=self._renew, args=(trial_id, ended), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _grant(self, trial_id: int, holder: str) -> None:
        lease = {"holder": holder, "until": self.now() + LEASE_SECONDS}
        self._storage.set_trial_user_attr(trial_id, "lease", lease)

    def _renew(self, trial_id: int, ended: threading.Event) -> None:
        while not ended.wait(RENEW_SECONDS):
            try:
                self.take(trial_id)
            except (OptunaError, SQLAlchemyError):
                continue  # database unreachable, or trial closed: the commit raises
