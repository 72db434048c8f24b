"""The stores on PostgreSQL instead of sqlite."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import event

from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.opening import connect
from fashion_hpo.stores.schema import prepare_tracking
from fashion_hpo.stores.tracking import Tracker
from tests.forks import at_once, begin
from tests.plans import design, search
from tests.stores import test_ledger
from tests.stores.test_ledger import claim_all, finish, opened

if TYPE_CHECKING:
    from tests.postgres import Server

pytest_plugins = ["tests.postgres"]  # which pytest imports itself

CORE: list[Callable[[Store], None]] = [
    test_ledger.test_a_design_hands_out_each_point_once,
    test_ledger.test_a_finished_study_has_nothing_left,
    test_ledger.test_telling_twice_changes_nothing,
    test_ledger.test_other_data_are_refused,
    test_ledger.test_a_changed_range_of_a_search_is_refused,
    test_ledger.test_a_revision_starts_anew_beside_the_old,
    test_ledger.test_more_seeds_and_levels_extend_and_are_kept,
    test_ledger.test_the_thread_count_is_the_first_workers,
]


@pytest.fixture
def store(tmp_path: Path, database: str) -> Store:
    """A store whose ledgers are on the server."""
    return Store(tmp_path, storage=database)


def points_claimed(store: Store, connection: Connection | None = None) -> list[str]:
    """Claim all points that are left, as workers do; tells each through a connection, if given."""
    ledger = opened(store, design(seeds=20))
    found = []
    while True:
        with store.lock("claim"):
            attempt = ledger.claim()
        if attempt is None:
            return found
        found.append(attempt.point)
        if connection is not None:
            connection.send(attempt.point)


def connected(store: Store) -> bool:
    connect(store)
    return True


def experiment(store: Store) -> str:
    return Tracker(store, "tiny").experiment_id


@pytest.mark.parametrize("as_on_sqlite", CORE, ids=lambda test: test.__name__)
def test_a_ledger(store: Store, as_on_sqlite: Callable[[Store], None]) -> None:
    as_on_sqlite(store)


@pytest.mark.parametrize("outcome", ["died", "stopped"])
def test_an_attempt_without_outcome_is_tried_again(store: Store, outcome: str) -> None:
    test_ledger.test_an_attempt_without_outcome_is_tried_again_once(store, outcome)


@pytest.mark.parametrize("outcome", ["complete", "pruned", "diverged", "failed"])
def test_an_outcome_is_final(store: Store, outcome: str) -> None:
    test_ledger.test_a_point_with_an_outcome_is_not_tried_again(store, outcome)


def test_a_result_is_there_when_the_ledger_is_opened_again(store: Store) -> None:
    ledger = opened(store, search())
    attempt = ledger.claim()
    assert attempt is not None
    finish(ledger, attempt)
    (entry,) = opened(store, search()).entries()
    assert entry.attempt == attempt
    assert entry.result is not None
    assert entry.result.value == 0.5


def test_a_restart_of_the_server_between_two_calls_is_not_noticed(
    store: Store, postgres: Server
) -> None:
    ledger = opened(store, design())
    postgres.restart()
    attempt = ledger.claim()
    assert attempt is not None
    postgres.restart()
    ledger.report(attempt, 1, 0.5)
    postgres.restart()
    finish(ledger, attempt)
    postgres.restart()
    states = [entry.state for entry in ledger.entries()]
    assert states == ["COMPLETE", "WAITING", "WAITING", "WAITING"]


def test_a_restart_amid_claims_hands_no_point_out_twice(store: Store, postgres: Server) -> None:
    opened(store, design(seeds=20))
    ours, theirs = multiprocessing.Pipe(duplex=False)
    worker = begin(points_claimed, store, theirs)
    theirs.close()
    told = [ours.recv() for _ in range(4)]
    postgres.restart()
    with ours, suppress(EOFError):
        while True:
            told.append(ours.recv())
    worker.join()
    ledger = opened(store, design(seeds=20))
    claimed = [entry.attempt.point for entry in ledger.entries() if entry.state == "RUNNING"]
    rest = [attempt.point for attempt in claim_all(ledger)]
    assert set(told) <= set(claimed), "what a worker was given is its own"
    assert len({*claimed, *rest}) == len(claimed) + len(rest) == 40


def test_two_processes_may_open_a_fresh_database_at_once(store: Store) -> None:
    first, second = at_once(points_claimed, (store,), (store,))
    assert len({*first, *second}) == len(first) + len(second) == 40


def test_hosts_that_start_at_once_enqueue_each_point_once(database: str, tmp_path: Path) -> None:
    stores = [Store(tmp_path / name, database) for name in "abcd"]
    ledgers = [opened(store, design(seeds=20)) for store in stores]
    with ThreadPoolExecutor(len(ledgers)) as threads:
        attempts = list(threads.map(lambda ledger: ledger.claim(), ledgers))
    points = [attempt.point for attempt in attempts if attempt is not None]
    assert len(set(points)) == len(ledgers)
    assert len(ledgers[0].entries()) == 40


def test_so_may_two_hosts(store: Store, database: str, tmp_path: Path) -> None:
    """They share no folder, and so no lock but the server's."""
    stores = [(Store(tmp_path / name, database),) for name in "abc"]
    assert at_once(connected, *stores) == [True] * 3
    assert opened(store, design()).remaining() == 4


def test_a_wrong_password_is_named_and_not_shown(postgres: Server, tmp_path: Path) -> None:
    store = Store(tmp_path, storage=postgres.url("postgres", "guessed"))
    with pytest.raises(StoreError, match=r"cannot be opened .*password authentication failed") as e:
        opened(store, design())
    assert "guessed" not in str(e.value)
    assert "\n" not in str(e.value)


def test_runs_are_tracked_there(tmp_path: Path, database: str) -> None:
    store = Store(tmp_path, tracking=database)
    tracker = Tracker(store, "tiny")
    run = tracker.client.create_run(tracker.experiment_id, tags={"fashion_hpo.uid": "abc"})
    assert Tracker(store, "tiny").run_of("abc") == run.info.run_id
    assert list(tmp_path.glob("*.db")) == []


def test_two_processes_may_make_the_tracking_database_at_once(
    tmp_path: Path, database: str
) -> None:
    store = Store(tmp_path, tracking=database)
    first, second = at_once(experiment, (store,), (store,))
    assert first == second


def test_so_may_two_hosts_and_the_first_to_use_it_is_its_owner(
    tmp_path: Path, database: str
) -> None:
    stores = [Store(tmp_path / name, tracking=database) for name in "abc"]
    at_once(prepare_tracking, *((store,) for store in stores))
    tracker = Tracker(stores[0], "tiny")
    location = tracker.client.get_experiment(tracker.experiment_id).artifact_location
    assert location == str(stores[0].artifacts / "tiny")
    assert Tracker(stores[0], "other").experiment_id
    with pytest.raises(StoreError, match=f"is the database of the store {tmp_path}/a; unset it"):
        Tracker(stores[1], "tiny")


def test_a_worker_keeps_one_connection(store: Store, postgres: Server) -> None:
    """Though as many threads as it has trials side by side renew their leases at once."""
    ledger = opened(store, design(seeds=2))
    claimed = claim_all(ledger)
    assert ledger.leases is not None
    with ThreadPoolExecutor(len(claimed)) as pool:
        for _ in range(5):
            list(pool.map(ledger.leases.take, [ledger._id(each.number) for each in claimed]))
    database = store.ledger_url.rpartition("/")[2]
    with psycopg.connect(postgres.url("postgres")) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        assert connection.execute(query, [database]).fetchone() == (1,)
    assert len({entry.lease["holder"] for entry in ledger.entries() if entry.lease}) == 1


def test_the_ledgers_calls_for_a_trial_do_not_grow(store: Store) -> None:
    """Whether it is the fifth or the fortieth; the fiftieth enqueues more points."""
    ledger = opened(store, design(seeds=25))
    statements: list[str] = []
    event.listen(
        ledger._storage.engine,
        "before_cursor_execute",
        lambda *arguments: statements.append(arguments[2]),
    )
    counts = []
    for _ in range(50):
        statements.clear()
        with store.lock("claim"):
            attempt = ledger.claim()
        assert attempt is not None
        ledger.report(attempt, 1, 0.5)
        finish(ledger, attempt)
        counts.append(len(statements))
    assert set(counts[1:]) == {counts[1]}
    assert counts[1] <= 40
    assert counts[0] / 50 + counts[1] <= 55, "with its part of the enqueuing"
