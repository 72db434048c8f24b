"""How many workers one ledger database and one tracking server can serve.

Workers of a trainer that takes no time, each as on a host of its own, so that only the stores
limit them.
"""

import os
import statistics
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.synchronize import Barrier, Lock
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from fashion_hpo.design.config import Epoch, TrainConfig
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.spec import Budget, StudySpec, levels
from fashion_hpo.running import processes
from fashion_hpo.running.mirror import Mirror
from fashion_hpo.stores.layout import Store, StoreError
from fashion_hpo.stores.ledger import Ledger, Result
from fashion_hpo.stores.opening import open_ledger
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training import devices

SAMPLE_SECONDS = 0.1  # between two counts of the connections
LIFTS = {
    "connections": "Optuna's gRPC proxy (`optuna.storages.run_grpc_proxy_server`), or PgBouncer",
    "claiming": "several ledgers: one study file for a part of the levels each",
    "ledger": "several ledgers: one study file for a part of the levels each",
    "tracking": "more `--workers` of the MLflow server on PostgreSQL, artifact proxying off",
}
PARTS = {
    "claiming": "the claim of a point",
    "ledger": "writes to the ledger",
    "tracking": "calls of the MLflow server",
}

_barrier: Barrier | None = None  # set in each process of the pool
_alone: Lock | None = None


@dataclass
class Seconds:
    """Of each trial of a worker, or of all."""

    claiming: list[float] = field(default_factory=list)
    ledger: list[float] = field(default_factory=list)  # report and result
    tracking: list[float] = field(default_factory=list)

    def add(self, others: Iterable["Seconds"]) -> "Seconds":
        """With those of other workers."""
        for other in others:
            for part in PARTS:
                getattr(self, part).extend(getattr(other, part))
        return self


@dataclass(frozen=True)
class Load:
    """What so many workers came to."""

    workers: int
    trials: int
    wall: float  # seconds
    seconds: Seconds
    duplicates: int
    connections: int  # the most at a time

    @property
    def per_minute(self) -> float:
        """Trials a minute."""
        return 60 * self.trials / self.wall


def measure(shared: Store, workers: int, trials: int) -> Load:
    """Run `trials` trials in each of the workers, in a new ledger of the store's database.

    Raises StoreError if the ledger is not on PostgreSQL or tracking has no server.
    """
    if not (shared.is_shared and shared.ledger_url.startswith("postgresql")):
        raise StoreError(
            "`bench cluster` needs a PostgreSQL database in --storage and an MLflow server in "
            "MLFLOW_TRACKING_URI; name two that no study uses."
        )
    with tempfile.TemporaryDirectory() as folder:
        store = replace(shared, root=Path(folder).resolve() / "driver")
        plan = _plan(workers * trials)
        ledger = open_ledger(store, plan, "bench", threads=1)
        Mirror(store, ledger, Tracker(store, plan.name)).open_study_run(devices.choose("cpu"))
        context = processes.context()
        gates = (context.Barrier(workers + 1), context.Lock())
        roots = [Path(folder).resolve() / f"host-{number}" for number in range(workers)]
        with (
            processes.pool(workers, context, _prepare, *gates) as pool,
            _counted(store.ledger_url) as connections,
        ):
            stores = [replace(store, root=root) for root in roots]
            parts = [pool.submit(_work, host, plan, trials) for host in stores]
            gates[0].wait()
            connections.clear()  # of the moment when workers open the ledger
            began = time.perf_counter()
            done = [part.result() for part in parts]
            wall = time.perf_counter() - began
        seconds = Seconds().add(done)
        count = len(seconds.claiming)
        if count != workers * trials:
            raise RuntimeError(f"{count} of {workers * trials} trials were run.")
        return Load(workers, count, wall, seconds, _duplicates(ledger), max(connections, default=0))


def _plan(points: int) -> Plan:
    spec = StudySpec(
        base=TrainConfig(architecture="simple_cnn", epochs=1),
        scientific={"dropout": levels(0.0, 0.5)},
        seeds=-(-points // 2),
        budgets={"quick": Budget()},
    )
    name = f"bench_cluster_{os.urandom(4).hex()}"
    return make_plan(name, "How many workers can the stores serve?", spec, "quick")


def _prepare(barrier: Barrier, alone: Lock) -> None:
    global _barrier, _alone
    _barrier, _alone = barrier, alone


def _work(store: Store, plan: Plan, trials: int) -> Seconds:
    """What a worker does for its trials, without training, export and files."""
    assert _barrier is not None
    assert _alone is not None
    with _alone:  # opening takes a second connection for a moment
        ledger = open_ledger(store, plan, "bench", threads=1)
    mirror = Mirror(store, ledger, Tracker(store, plan.name))
    mirror.study_run()
    hardware, seconds = devices.choose("cpu"), Seconds()
    _barrier.wait()
    for _ in range(trials):
        began = time.perf_counter()
        with store.lock("claim"):
            attempt = ledger.claim()
        claimed = time.perf_counter()
        if attempt is None:
            break
        epoch = _epoch()
        mirror.begin(attempt, hardware)
        mirror.log(attempt, [epoch])
        logged = time.perf_counter()
        result = Result("complete", epoch.val_accuracy, history=[asdict(epoch)])
        ledger.report(attempt, epoch.epoch, epoch.val_accuracy)
        ledger.close(attempt, result)
        closed = time.perf_counter()
        mirror.complete(attempt, result)
        seconds.claiming.append(claimed - began)
        seconds.ledger.append(closed - logged)
        seconds.tracking.append(logged - claimed + time.perf_counter() - closed)
    return seconds


def _epoch() -> Epoch:
    return Epoch(
        epoch=1,
        train_loss=1.0,
        train_eval_loss=1.0,
        train_eval_accuracy=0.5,
        val_loss=1.0,
        val_accuracy=0.5,
        learning_rate=0.001,
        seconds=0.0,
        images_per_second=1.0,
        timestamp=int(time.time() * 1000),
    )


def _duplicates(ledger: Ledger) -> int:
    """Results of points that had one already."""
    results = [e.attempt.point for e in ledger.entries() if e.result and e.result.final]
    return sum(count - 1 for count in Counter(results).values())


@contextmanager
def _counted(storage: str) -> Iterator[list[int]]:
    """Within, a thread counts the database's connections, without its own."""
    counts, ended = list[int](), threading.Event()
    engine = create_engine(storage, poolclass=NullPool)

    def count() -> None:
        query = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        with engine.connect() as connection:
            while not ended.wait(SAMPLE_SECONDS):
                counts.append(int(connection.execute(text(query)).scalar_one()))
                connection.rollback()  # else the same snapshot answers again

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield counts
    finally:
        ended.set()
        thread.join()


def most_connections(store: Store) -> int:
    """How many connections the server of the store's ledgers allows."""
    with create_engine(store.ledger_url, poolclass=NullPool).connect() as connection:
        return int(connection.execute(text("SHOW max_connections")).scalar_one())


def percentile(values: list[float], percent: int) -> float:
    """The percentile of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def bottleneck(load: Load) -> str:
    """The part for which a trial waits longest under a load: a key of PARTS."""
    return max(PARTS, key=lambda part: statistics.fmean(getattr(load.seconds, part)))


def ceiling(loads: list[Load], workers: int, allowed: int) -> list[str]:
    """What so many workers would come to, by the measured loads: a line each, bottleneck first.

    allowed: connections that the database's server takes.
    """
    best = max(loads, key=lambda load: load.per_minute)
    largest = max(loads, key=lambda load: load.workers)
    wanted = -(-workers * largest.connections // largest.workers)
    lines = []
    if wanted > allowed:
        lines.append(
            f"connections: {wanted:,} wanted, {allowed:,} allowed; {LIFTS['connections']} lifts it"
        )
    part = bottleneck(largest)
    lines.append(
        f"{PARTS[part]}: {best.per_minute:,.0f} trials a minute in all, so trials shorter than "
        f"{60 * workers / best.per_minute:,.0f} s wait; {LIFTS[part]} lifts it"
    )
    return lines
