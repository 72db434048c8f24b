"""The log of openings of the gate and test images, shared by all hosts of one ledger database."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Column, Integer, MetaData, NullPool, Table, Text, create_engine, select

from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.schema import LOCK_WAIT_SECONDS, alone

_LOG = Table(
    "fashion_hpo_openings",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("line", Text, nullable=False),  # a line of a host's log file
)


@contextmanager
def shared_log(store: Store) -> Iterator[Path]:
    """The store's log file; within, it has the openings of every host and no other host opens.

    Lines that the caller appends reach the database at the end, or after a kill at the next call.
    A store whose ledgers are in its own folder has no other hosts.
    """
    if store.storage is None:
        yield store.openings_log
        return
    with alone(store.ledger_url, "openings"):
        merge(store)
        try:
            yield store.openings_log
        finally:
            merge(store)


def merge(store: Store) -> None:
    """Add the lines that the log file or the database lacks, so that both have the same."""
    log = store.openings_log
    local = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    waiting = {"timeout": LOCK_WAIT_SECONDS} if store.ledger_url.startswith("sqlite") else {}
    engine = create_engine(store.ledger_url, poolclass=NullPool, connect_args=waiting)
    with engine.begin() as connection:
        _LOG.metadata.create_all(connection)
        shared = list(connection.scalars(select(_LOG.c.line).order_by(_LOG.c.id)))
        to_share = (Counter(local) - Counter(shared)).elements()
        if rows := [{"line": line} for line in to_share]:
            connection.execute(_LOG.insert(), rows)
    from_others = list((Counter(shared) - Counter(local)).elements())
    if from_others:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in from_others)
