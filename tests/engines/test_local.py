"""Workers in processes of their own, which load the real data."""

import itertools
import multiprocessing
import os
import struct
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from fashion_hpo.design.plan import Plan
from fashion_hpo.engines import local, sharing, team, worker
from fashion_hpo.engines.local import Local
from fashion_hpo.engines.team import Failed, Start, WorkerDied
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.workers import EpochDone, StudyHaltedError, TrialEnded, TrialStarted
from fashion_hpo.stores.layout import Store
from fashion_hpo.training.data import SearchSplits
from tests import forks
from tests.conftest import OpenSession
from tests.plans import TINY, design

LONG = design(base=TINY.replace(epochs=10_000), seeds=1)  # is under way until it is stopped


@pytest.fixture
def open_real(store: Store, real_splits: SearchSplits) -> OpenSession:
    """Opens a plan in this test's store on the real images, as workers do, at one thread."""

    def opened(plan: Plan) -> Session:
        return open_session(store, plan, device="cpu", threads=1, splits=real_splits)

    return opened


@pytest.fixture(autouse=True)
def no_worker_is_left() -> Iterator[None]:
    yield
    assert multiprocessing.active_children() == []


def test_two_workers_train_two_trials_each_side_by_side(
    open_real: OpenSession, real_data: Path
) -> None:
    session = open_real(design())
    started: Counter[int] = Counter()  # trials of each worker
    for event in team.work(
        Local(), session, 2, data=real_data, device="cpu", max_trials=4, side_by_side=2
    ):
        if isinstance(event, TrialStarted):
            started[event.worker] += 1
    assert started == {0: 2, 1: 2}
    results = [entry.result for entry in session.ledger.entries() if entry.result]
    assert [result.outcome for result in results] == ["complete"] * 4
    assert {result.hardware["side_by_side"] for result in results} == {"2"}


def kill_the_worker() -> None:
    for process in multiprocessing.active_children():  # it may be dead, and its events unread
        process.kill()


def test_three_deaths_halt_the_study(open_real: OpenSession, real_data: Path) -> None:
    session = open_real(LONG)
    died = []
    with pytest.raises(StudyHaltedError, match=r"3 workers died, the last by SIGKILL; mend"):  # noqa: PT012
        for event in team.work(Local(), session, 1, data=real_data, device="cpu"):
            if isinstance(event, WorkerDied):
                died.append(event)
            elif isinstance(event, EpochDone):
                kill_the_worker()
    assert died == [WorkerDied(0, "SIGKILL")] * 3


def lead(store: Store, data: Path, told: Connection) -> None:
    """Start one worker, in a process that has no other, and tell which it is."""
    session = open_session(store, LONG, device="cpu", threads=1, data=data)
    for event in team.work(Local(), session, 1, data=data, device="cpu"):
        if isinstance(event, EpochDone):
            (process,) = multiprocessing.active_children()
            told.send(process.pid)


def test_workers_end_when_who_started_them_is_killed(store: Store, real_data: Path) -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    # Not by `begin`: a daemon may have no workers.
    leader = forks.CONTEXT.Process(target=lead, args=(store, real_data, theirs))
    leader.start()
    theirs.close()
    with ours:
        worker = ours.recv()
        leader.kill()
        leader.join()
    deadline = time.monotonic() + 60
    while is_alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def start(session: Session, data: Path | None = None) -> Start:
    return Start(0, session.store, session.ledger.plan, data, "cpu", None, None)


@pytest.mark.usefixtures("handlers")
def test_a_worker_that_gives_up_says_why(open_real: OpenSession, real_data: Path) -> None:
    """Its process is this one: what it tells goes through a real pipe."""
    broken = {"architecture": "three_block_cnn", "architecture_options": {"channels": 10**6}}
    session = open_real(design(base=TINY.replace(**broken)))
    ours, theirs = multiprocessing.Pipe(duplex=False)
    outcomes = []
    with ours:
        worker.run(theirs, start(session, real_data))
        theirs.close()
        while not isinstance(event := local.receive(ours), Failed):
            if isinstance(event, TrialEnded):
                outcomes.append(event.result.outcome)
    assert outcomes == ["failed"] * 3
    assert event.reason.startswith("3 trials in a row failed, the last with")


@pytest.mark.parametrize("sent", [b"", struct.pack("!i", 1000) + b"half of it", b"\0"])
def test_a_worker_that_is_gone_is_noticed(sent: bytes) -> None:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    with ours:
        os.write(theirs.fileno(), sent)
        theirs.close()
        assert local.receive(ours) is None


@pytest.mark.parametrize("count", range(1, 10))
def test_shares_come_to_the_trials_that_were_asked_for(count: int) -> None:
    assert sharing.shares(count, None) == [None] * count
    for max_trials in range(40):
        shares = [share for share in sharing.shares(count, max_trials) if share is not None]
        assert sum(shares) == max_trials
        assert len(shares) == min(count, max_trials)
        assert all(share >= 1 for share in shares)
        assert max(shares, default=0) - min(shares, default=0) <= 1


@pytest.mark.parametrize("order", [1, -1], ids=["the first is quickest", "the last is quickest"])
@pytest.mark.parametrize("deaths", [0, 2])
def test_workers_train_as_many_trials_as_were_asked_for(order: int, deaths: int) -> None:
    """However many points there are, and whoever is quick or dies between two trials."""
    session, plan = Store(Path("store")), design()
    for count, max_trials, remaining in itertools.product(range(1, 7), range(1, 13), range(9)):
        shares = sharing.shares(count, max_trials)
        starts: list[Start | None] = [
            Start(number, session, plan, None, "cpu", share, None)
            for number, share in enumerate(shares)
        ]
        points, left_to_die = remaining, deaths
        for start in starts[::order]:
            while start is not None and points and start.max_trials:
                done = 1 if left_to_die else min(points, start.max_trials)
                points -= done
                left_to_die = max(0, left_to_die - 1)
                start = team._rest(start, done, None)
        assert remaining - points == min(max_trials, remaining), (count, max_trials, remaining)


def test_no_worker_follows_one_that_had_all_its_trials_or_its_time() -> None:
    start = Start(0, Store(Path("store")), design(), None, "cpu", 3, None)
    assert team._rest(start, 3, None) is None
    assert team._rest(start, 1, time.monotonic() - 1) is None
    rest = team._rest(start, 1, time.monotonic() + 100)
    assert rest is not None
    assert rest.max_trials == 2
    assert rest.timeout == pytest.approx(100, abs=10)


def test_threads_are_the_cores_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "usable_cores", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    counts = (1, 2, 3, 8, 9)
    assert [sharing.threads_for(count, "cpu") for count in counts] == [None, 4, 2, 1, 1]


@pytest.mark.parametrize(("device", "gpus", "mps", "places"), [
    ("auto", 2, False, ["cuda:0", "cuda:1", "cuda:0"]),
    ("cuda", 2, False, ["cuda:0", "cuda:1", "cuda:0"]),
    ("cuda:1", 2, False, ["cuda:1"] * 3),
    ("auto", 0, True, ["mps"] * 3),
    ("mps", 0, True, ["mps"] * 3),
    ("auto", 0, False, ["auto"] * 3),
    ("cpu", 2, True, ["cpu"] * 3),
])  # fmt: skip
def test_workers_take_the_accelerators_in_turn(
    device: str, gpus: int, mps: bool, places: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And leave the threads of a trial at the usual number, where they share no cores."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert [sharing.device_of(number, device) for number in range(3)] == places
    on_cores = places[0] in ("auto", "cpu")
    assert (sharing.threads_for(2, device) is None) != on_cores
    assert (sharing.crowding(2, 10**6, device) == "") != on_cores
