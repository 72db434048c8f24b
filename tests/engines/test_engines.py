"""What every engine does alike: workers as processes here, and as tasks of a Ray cluster."""

import multiprocessing
import os
import queue
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fashion_hpo import study
from fashion_hpo.design.plan import Plan
from fashion_hpo.engines import node, team
from fashion_hpo.engines.local import Local
from fashion_hpo.engines.ray import Ray
from fashion_hpo.engines.team import Engine, WorkerDied
from fashion_hpo.running import workers
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.workers import EpochDone, StudyHaltedError, TrialEnded, TrialStarted
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.training.data import SearchSplits
from tests import ray_cluster
from tests.conftest import OpenSession
from tests.plans import TINY, design

LONG = design(base=TINY.replace(epochs=10_000), seeds=1)  # is under way until it is stopped
ENGINES = ("local", "ray")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster of one node."""
    with ray_cluster.running(cpus=2) as running:
        yield running.address


@pytest.fixture
def connect(cluster: str, store: Store, handlers: None) -> Iterator[Callable[[], Ray]]:
    """Connects to the cluster, for this test's store; Ray takes SIGTERM."""
    connected: list[Ray] = []

    def ray() -> Ray:
        connected.append(Ray(cluster, store, cpus=1, gpus=0))
        return connected[-1]

    yield ray
    for each in connected:
        each.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return Local() if request.param == "local" else request.getfixturevalue("connect")()


@pytest.fixture
def open_real(store: Store, real_splits: SearchSplits) -> OpenSession:
    def opened(plan: Plan) -> Session:
        return open_session(store, plan, device="cpu", threads=1, splits=real_splits)

    return opened


def worker_processes() -> list[int]:
    """The ids of the workers' processes below this process, whichever engine has started them."""
    parents = {int(path.name): parent_of(path) for path in Path("/proc").glob("[0-9]*")}
    below, found = {os.getpid()}, 1
    while found:
        more = {pid for pid, parent in parents.items() if parent in below} - below
        below, found = below | more, len(more)
    forks = {process.pid for process in multiprocessing.active_children()}
    tasks = {pid for pid in below if "-m\0fashion_hpo.engines.worker" in command_of(pid)}
    return sorted(pid for pid in forks | tasks if pid is not None)


def parent_of(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def curves(ledger: Ledger) -> dict[str, list[float]]:
    return {
        entry.attempt.point: [epoch["val_loss"] for epoch in entry.result.history]
        for entry in ledger.entries()
        if entry.result is not None and entry.result.final
    }


def test_two_workers_come_to_what_one_comes_to(
    engine: Engine, open_real: OpenSession, real_data: Path
) -> None:
    levels = {"dropout": (0.0, 0.25, 0.5)}
    session = open_real(design(scientific=levels, seeds=1))
    told: dict[int, list[str]] = {}
    numbers = set()
    for event in team.work(engine, session, 4, data=real_data, device="cpu", max_trials=2):
        assert isinstance(event, workers.Event)
        if isinstance(event, TrialStarted):
            numbers.add(event.worker)
        told.setdefault(event.attempt.number, []).append(type(event).__name__)
    in_order = ["TrialStarted", "EpochDone", "EpochDone", "EpochDone", "TrialEnded"]
    assert told == {0: in_order, 1: in_order}, "two of the four workers had a trial each"
    assert numbers == {0, 1}
    alone = open_real(design(scientific=levels, seeds=1, budget="quick"))
    list(workers.work(alone, max_trials=2))
    assert curves(session.ledger) == curves(alone.ledger)


def test_a_worker_that_is_killed_is_replaced_and_its_point_done(
    engine: Engine, open_real: OpenSession, real_data: Path
) -> None:
    base = TINY.replace(epochs=20)
    session = open_real(design(base=base, scientific={"dropout": (0.5,)}, seeds=1, claims=[]))
    epochs: dict[int, list[int]] = {}
    died, ended = [], []
    for event in team.work(engine, session, 1, data=real_data, device="cpu"):
        if isinstance(event, WorkerDied):
            died.append(event)
        elif isinstance(event, TrialEnded):
            ended.append(event.result)
        elif isinstance(event, EpochDone):
            if not epochs:
                (worker,) = worker_processes()
                os.kill(worker, signal.SIGKILL)
            epochs.setdefault(event.attempt.number, []).append(event.epoch.epoch)
    assert died == [WorkerDied(0, "SIGKILL")]
    assert [result.outcome for result in ended] == ["complete"]
    first, second = epochs.values()
    assert first[-1] < second[0], "it goes on from the checkpoint"
    assert second[-1] == len(ended[0].history) == 20
    assert [entry.state for entry in session.ledger.entries()] == ["FAIL", "COMPLETE"]


@pytest.mark.usefixtures("handlers")
def test_a_signal_stops_all_workers(
    engine: Engine, open_real: OpenSession, real_data: Path
) -> None:
    session = open_real(LONG)
    session.signals.install()
    under_way: list[int] = []
    with pytest.raises(Stopped) as stopped:  # noqa: PT012  (the loop is what is interrupted)
        for event in team.work(engine, session, 2, data=real_data, device="cpu"):
            if isinstance(event, EpochDone) and event.attempt.number not in under_way:
                under_way.append(event.attempt.number)
                if len(under_way) == 2:
                    os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    entries = session.ledger.entries()
    assert [entry.state for entry in entries] == ["FAIL"] * 2 + ["WAITING"] * 2
    reasons = [entry.result.reason for entry in entries if entry.result]
    assert reasons == ["by SIGTERM"] * 2
    assert worker_processes() == []


def test_a_worker_that_gives_up_says_why(
    engine: Engine, open_real: OpenSession, real_data: Path
) -> None:
    broken = {"architecture": "three_block_cnn", "architecture_options": {"channels": 10**6}}
    session = open_real(design(base=TINY.replace(**broken)))
    with pytest.raises(StudyHaltedError, match="3 trials in a row failed, the last with"):
        list(team.work(engine, session, 1, data=real_data, device="cpu"))


def test_another_version_on_a_node_is_refused(
    connect: Callable[[], Ray], open_real: OpenSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = connect()
    monkeypatch.setattr(ray, "_package", "another")
    with pytest.raises(StudyHaltedError, match="another version of fashion_hpo; install the same"):
        list(team.work(ray, open_real(LONG), 1))


def test_other_data_on_a_node_are_refused(
    connect: Callable[[], Ray], store: Store, open_here: OpenSession, real_data: Path
) -> None:
    """This ledger's images are synthetic; a worker finds the real data."""
    session = open_here(LONG)
    with pytest.raises(StudyHaltedError, match=r"holds another spec \(data: "):
        list(team.work(connect(), session, 1, data=real_data, device="cpu"))


def test_a_worker_that_no_node_has_room_for_is_refused(cluster: str, store: Store) -> None:
    with pytest.raises(ValueError, match="a worker wants 1 CPUs and 1 GPUs of one node, and the"):
        Ray(cluster, store, cpus=1, gpus=1)


def test_an_address_where_nothing_answers_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="where nothing answers; start a cluster by"):
        Ray("127.0.0.1:1", store, cpus=1, gpus=0)


def test_a_ledger_in_a_file_is_refused_on_several_nodes(store: Store) -> None:
    """Also before MLflow is on a server; the two commands are in the message."""
    with ray_cluster.running(cpus=1) as running:
        ray_cluster.add_node(running, cpus=1)
        with pytest.raises(StoreError, match=r"2 node\(s\), and the ledger is a file"):
            Ray(running.address, store, cpus=1, gpus=0)


def test_without_ray_the_package_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"needs Ray; type `pip install 'ray\[client\]'` first"):
        Ray(None, store, cpus=1, gpus=0)


def test_a_worker_that_cannot_import_torch_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told: queue.Queue[object] = queue.Queue()
    outcome, reason = node.work(b"", {}, node.package_hash(), 0, told)
    assert (outcome, reason) == ("died", "exit code 1 (ImportError: libcudart.so is missing)")
    assert told.empty()


def test_the_hash_is_of_every_source_file() -> None:
    assert node.package_hash() == node.package_hash()
    assert len(node.package_hash()) == 64


def test_options_of_a_cluster_need_a_cluster(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--address", "127.0.0.1:1"], ["--cpus-per-worker", "2"], ["--gpus-per-worker", "0.5"]
    for option in options:
        assert study.main(["dropout_ablation", *option, "--dry-run"]) == 2
        assert f"{option[0]} is for a Ray cluster; add --engine ray" in capsys.readouterr().err
        assert study.main(["dropout_ablation", "--engine", "ray", *option, "--dry-run"]) == 0
    assert study.main(["dropout_ablation", "--engine", "ray", "--workers", "auto"]) == 2
    assert "with --engine ray give a number" in capsys.readouterr().err
