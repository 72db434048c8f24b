"""Workers as tasks of a Ray cluster, which places them, a share of a GPU each, and starts them.

A task runs a worker in a process of its own (`node.py`).  Workers meet in the ledger, as those of
one machine do: Ray carries what they tell to this terminal, and no result.
"""

import os
import pickle
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from fashion_hpo.engines import node
from fashion_hpo.engines.team import Ended, Failed, Start
from fashion_hpo.running.signals import StopSignals
from fashion_hpo.running.workers import Event, StudyHaltedError
from fashion_hpo.stores.layout import Store, StoreError

EXTRA = "`pip install 'ray[client]'`"
WAIT_SECONDS = 0.5  # for what workers tell, between two looks at the signals
PROBE_SECONDS = 5.0
STOP_SECONDS = 90.0  # for all workers to close their trials
PASSED_ON = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
MOVE = (
    "`python -m fashion_hpo.store move --to postgresql://USER@HOST/DATABASE "
    "--tracking http://HOST:5000`"
)
EXPORT = (
    "`export FASHION_HPO_STORAGE=postgresql://USER@HOST/DATABASE "
    "MLFLOW_TRACKING_URI=http://HOST:5000`"
)


class Ray:
    """The engine of a cluster; each worker has `cpus` cores and `gpus` GPUs of one node."""

    def __init__(self, address: str | None, store: Store, *, cpus: float, gpus: float) -> None:
        """Connect to the cluster.

        Raises ValueError, before anything starts, if Ray is not installed, no cluster answers, no
        node has room for a worker, or other nodes cannot reach the store.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # read when Ray is imported
        try:
            import ray
        except ModuleNotFoundError:
            raise ValueError(f"--engine ray needs Ray; type {EXTRA} first.") from None
        self._ray: Any = ray
        self._address = address or os.environ.get("RAY_ADDRESS") or "auto"
        self._connect()
        self._head = self._address.removeprefix("ray://")
        if self._head == self._address:
            self._head = str(self._ray.get_runtime_context().gcs_address)
        nodes = [each for each in self._ray.nodes() if each["Alive"]]
        try:
            self.room = _room(nodes, cpus, gpus)
            if len(nodes) > 1 or self._address.startswith("ray://"):
                _check_shared(store, len(nodes))
        except ValueError:
            self.close()
            raise
        from ray.util.queue import Queue

        self._queue = Queue(actor_options={"num_cpus": 0, **self._here()})
        options = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": 0}
        self._task = ray.remote(node.work).options(**options)
        self._package = node.package_hash()
        self._workers: dict[Any, int] = {}  # numbers by the object that a task will return

    def start(self, start: Start) -> None:
        """See `Engine`; a worker without room waits for a node."""
        variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        given = (pickle.dumps(start), variables, self._package, start.number, self._queue)
        self._workers[self._task.remote(*given)] = start.number

    def told(self, signals: StopSignals) -> Iterator[tuple[int, Event | Failed | Ended]]:
        """See `Engine`."""
        signals.check()
        ended, _ = self._ray.wait(list(self._workers), timeout=WAIT_SECONDS)
        self._check_head()
        signals.check()
        if count := self._queue.size():
            for number, events in self._queue.get_nowait_batch(count):
                for event in events:
                    yield number, pickle.loads(event)
        for task in ended:
            yield self._workers.pop(task), self._end(task)

    def stop(self) -> None:
        """See `Engine`; after a while workers are left to their leases."""
        for task in self._workers:
            self._ray.cancel(task)
        if count := len(self._workers):
            self._ray.wait(list(self._workers), num_returns=count, timeout=STOP_SECONDS)
        self._workers.clear()

    def close(self) -> None:
        """Leave the cluster."""
        self._ray.shutdown()

    def _connect(self) -> None:
        _probe(self._address)
        options: dict[str, Any] = {"log_to_driver": False}
        if not self._address.startswith("ray://"):  # the logging of that server is not ours
            options["configure_logging"] = False
        try:
            self._ray.init(address=self._address, **options)
        except (ConnectionError, TimeoutError) as error:
            reason = (str(error).strip().splitlines() or [""])[-1].rstrip(".")
            raise ValueError(
                f"--address is {self._address}, where no Ray cluster answers ({reason}); start one "
                "by `ray start --head`, or correct --address."
            ) from None
        except ImportError as error:  # Ray's client needs more packages
            raise ValueError(f"--address is {self._address}: {error}; type {EXTRA}.") from None

    def _here(self) -> dict[str, Any]:
        """Options that keep an actor on the node of this process."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        here = self._ray.get_runtime_context().get_node_id()
        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(here, soft=False)}

    def _check_head(self) -> None:
        """Raise StudyHaltedError if the cluster's head is gone: Ray itself waits a minute for it,
        then ends this process."""
        if not _answers(self._head):
            self._workers.clear()  # the nodes stop them
            raise StudyHaltedError(
                f"the head of the Ray cluster ({self._head}) is gone; start it again, then run the "
                "same command again."
            )

    def _end(self, task: Any) -> Failed | Ended:
        from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

        try:
            outcome, reason = self._ray.get(task)
        except RayTaskError as error:
            return Failed(str(error.cause or error).strip().splitlines()[-1])
        except RayError as error:
            kind = type(error).__name__
            return Ended(f"{kind} of Ray", lost=not isinstance(error, OutOfMemoryError))
        if outcome == "refused":
            return Failed(reason)
        return Ended(reason, lost=outcome == "lost")


def _room(nodes: list[dict[str, Any]], cpus: float, gpus: float) -> int:
    """The number of workers that fit on the nodes at once; raises ValueError if none fits."""
    sizes = [
        (each["Resources"].get("CPU", 0.0), each["Resources"].get("GPU", 0.0)) for each in nodes
    ]
    room = 0
    for cores, devices in sizes:
        fitting = [int(have / want) for have, want in ((cores, cpus), (devices, gpus)) if want]
        room += min(fitting, default=0)
    if room:
        return room
    largest = max((size[::-1] for size in sizes), default=(0.0, 0.0))[::-1]
    raise ValueError(
        f"a worker wants {cpus:g} CPUs and {gpus:g} GPUs of one node, and the largest of the "
        f"cluster's {len(nodes)} node(s) has {largest[0]:g} and {largest[1]:g}; lower "
        "--cpus-per-worker or --gpus-per-worker, or add a node."
    )


def _check_shared(store: Store, nodes: int) -> None:
    """Raise StoreError if the ledger or MLflow's database is a file of this machine."""
    if store.is_shared:
        return
    in_file = store.storage is None or store.storage.startswith("sqlite")
    what = "the ledger is a file" if in_file else "MLflow's database has no server"
    first = f"type {MOVE}, type what it prints" if store.has_ledgers else f"type {EXPORT}"
    raise StoreError(
        f"the Ray cluster has {nodes} node(s), and {what} that they cannot share; {first}, and "
        "then the same command again."
    )


def _probe(address: str) -> None:
    """Raise ValueError if an address of the form HOST:PORT does not answer: Ray would hang."""
    if address in ("auto", "local"):
        return
    if not _answers(address.removeprefix("ray://")):
        raise ValueError(
            f"--address is {address}, where nothing answers; start a cluster by `ray start --head` "
            "there, or correct --address."
        )


def _answers(address: str) -> bool:
    parts = urlsplit(f"//{address}")
    try:
        with socket.create_connection((parts.hostname, parts.port), PROBE_SECONDS):
            return True
    except OSError:
        return False
