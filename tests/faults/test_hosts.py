"""Two hosts that share databases on PostgreSQL, their clocks in different time zones."""

import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import OperationalError

from fashion_hpo.stores import leases
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import connect
from fashion_hpo.stores.schema import prepare_tracking
from tests.faults import child
from tests.faults.child import Moment
from tests.faults.lab import Lab, ended, ledger_of, wait_until
from tests.faults.servers import HOST, TrackingServer
from tests.plans import design

if TYPE_CHECKING:
    from tests.postgres import Server

pytest_plugins = ["tests.postgres"]
PLAN = design(seeds=1)
LEASE_SECONDS = 3.0
ZONES = ("Pacific/Auckland", "America/Los_Angeles")  # 19 to 21 hours apart


@pytest.fixture(scope="module")
def made(lab: Lab, postgres: "Server") -> tuple[str, str]:
    """A ledger's and a tracking database with their tables: making them takes seconds."""
    storage, tracking = postgres.fresh_database(), postgres.fresh_database()
    store = Store(lab.store(fresh=True).root, storage, tracking)
    assert ended(lab.process(make_tables, store)) == 0
    return storage, tracking


def make_tables(store: Store) -> None:
    connect(store)
    prepare_tracking(store)


@pytest.fixture
def hosts(
    lab: Lab,
    postgres: "Server",
    made: tuple[str, str],
    server: TrackingServer,
    closed_connections: None,
) -> tuple[Store, Store]:
    """Two folders, one ledger, one tracking server."""
    storage, tracking = postgres.fresh_database(made[0]), f"http://{HOST}:{server.port}"
    first, second = (Store(lab.store(fresh=True).root, storage, tracking) for _ in range(2))
    return first, second


@pytest.fixture
def host(lab: Lab, postgres: "Server", made: tuple[str, str], closed_connections: None) -> Store:
    """One folder, its ledger and its tracking database both on PostgreSQL."""
    storage, tracking = (postgres.fresh_database(each) for each in made)
    return Store(lab.store(fresh=True).root, storage, tracking)


def on_host(number: int, then: child.Fault | None = None) -> None:
    """What differs between hosts; leases are short here."""
    os.environ["TZ"] = ZONES[number]
    time.tzset()
    leases.LEASE_SECONDS, leases.RENEW_SECONDS = LEASE_SECONDS, LEASE_SECONDS / 6
    if then is not None:
        then()


FIRST, SECOND = partial(on_host, 0), partial(on_host, 1)


def taken_over(lab: Lab, store: Store) -> None:
    """The second host runs until every point is done: a dead one's lease has to run out first."""
    deadline = time.monotonic() + 60
    while True:
        assert lab.run(store, PLAN, SECOND) == 0
        if ledger_of(store, PLAN).remaining() == 0:
            return
        assert time.monotonic() < deadline, "the dead host's point was never taken over"
        time.sleep(LEASE_SECONDS / 3)


def test_both_work_and_no_point_is_run_twice(lab: Lab, hosts: tuple[Store, Store]) -> None:
    plan = design(seeds=2)
    team = [lab.start(store, plan, partial(on_host, n)) for n, store in enumerate(hosts)]
    lab.inject("two hosts in different time zones")
    assert [ended(worker) for worker in team] == [0, 0]
    ledger = lab.check(hosts[0], plan)
    done = [e for e in ledger.entries() if e.result and e.result.outcome == "complete"]
    assert len(done) == len({e.attempt.point for e in done}) == 4


@pytest.mark.parametrize("write", ["trial claimed", "lease taken", "epoch reported"])
def test_a_dead_hosts_point_is_taken_over(lab: Lab, hosts: tuple[Store, Store], write: str) -> None:
    """After its lease, or, killed before it had one, after that which the finder gave it."""
    fault = partial(on_host, 0, partial(child.killed_at, Moment(write)))
    assert lab.run(hosts[0], PLAN, fault) == -signal.SIGKILL
    lab.inject("a host that died before its first heartbeat, or later")
    taken_over(lab, hosts[1])
    lab.check(hosts[1], PLAN)


def test_a_host_paused_past_its_lease_has_lost_its_point(
    lab: Lab, hosts: tuple[Store, Store], tmp_path: Path
) -> None:
    reached = tmp_path / "reached"
    mark = partial(child.marked_at, Moment("epoch reported"), reached)
    paused = lab.start(hosts[0], PLAN, partial(on_host, 0, mark))
    wait_until(reached.exists)
    assert paused.pid is not None
    os.kill(paused.pid, signal.SIGSTOP)
    lab.inject("a host paused past its lease, then continued")
    taken_over(lab, hosts[1])
    reached.with_suffix(".go").touch()
    os.kill(paused.pid, signal.SIGCONT)
    assert ended(paused) == 0, "it notices, and does not spoil the other's result"
    ledger = lab.check(hosts[1], PLAN)
    assert sum(e.result is not None and e.result.final for e in ledger.entries()) == 2


def test_an_error_in_the_heartbeat_costs_nothing(lab: Lab, hosts: tuple[Store, Store]) -> None:
    assert lab.run(hosts[0], PLAN, partial(on_host, 0, failing_heartbeat)) == 0
    lab.inject("an error in the liveness write")
    lab.check(hosts[0], PLAN)


def failing_heartbeat() -> None:
    """Every renewal, many a second, fails; the first lease, at the claim, does not."""
    leases.RENEW_SECONDS = 0.01
    granted = leases.Leases._grant

    def grant(self: leases.Leases, trial_id: int, holder: str) -> None:
        import threading

        if threading.current_thread() is not threading.main_thread():
            raise OperationalError("UPDATE", {}, Exception("the server closed the connection"))
        granted(self, trial_id, holder)

    leases.Leases._grant = grant  # type: ignore[method-assign]


@pytest.mark.parametrize("write", ["trial locked", "epoch reported", "model written"])
def test_postgresql_restarted_amid_a_study(
    lab: Lab, host: Store, postgres: "Server", tmp_path: Path, write: str
) -> None:
    reached = tmp_path / "reached"
    mark = partial(child.marked_at, Moment(write), reached)
    worker = lab.start(host, PLAN, partial(on_host, 0, mark))
    wait_until(reached.exists)
    postgres.restart()
    lab.inject("PostgreSQL restarted")
    reached.with_suffix(".go").touch()
    assert ended(worker) == 0
    lab.check(host, PLAN)
