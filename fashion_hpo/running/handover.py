"""Hand a trial over to another host: copies of its checkpoint, made while it trains."""

import time

from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.running.session import Session
from fashion_hpo.stores.ledger import Attempt
from fashion_hpo.training.state import epochs_in

EVERY_SECONDS = 60.0  # a lost host costs a trial at most that, or its first epoch


class Handover:
    """The copies of one attempt's checkpoint; does nothing if no other host shares the ledger."""

    def __init__(self, session: Session, attempt: Attempt) -> None:
        self._copies = session.checkpoints
        self._point = attempt.point
        self._may_have_copy = attempt.attempt > 1
        self._checkpoint = session.store.checkpoint(session.ledger.uid, attempt.point)
        self._copied_at: float | None = None

    def fetch(self) -> None:
        """Replace this host's checkpoint by the copy, if the copy has more epochs."""
        if self._copies is None or not self._may_have_copy:
            return
        if (content := self._copies.get(self._point)) is None:
            return
        if not self._checkpoint.exists() or epochs_in(content) > epochs_in(
            self._checkpoint.read_bytes()
        ):
            write_atomically(self._checkpoint, content)

    def offer(self) -> None:
        """Copy the checkpoint that was just written, unless the last copy is recent."""
        now = time.monotonic()
        if self._copied_at is None or now - self._copied_at >= EVERY_SECONDS:
            self.copy()

    def copy(self) -> None:
        """Copy the checkpoint as it is."""
        if self._copies is None or not self._checkpoint.exists():
            return
        self._copied_at = time.monotonic()  # also after a failure: the next try is later
        self._may_have_copy |= self._copies.put(self._point, self._checkpoint.read_bytes())

    def remove(self) -> None:
        """Remove the copy of a trial that is committed."""
        if self._copies is not None and self._may_have_copy:
            self._copies.remove(self._point)
