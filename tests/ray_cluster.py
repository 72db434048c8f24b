"""A Ray cluster on loopback: real nodes, each with its own processes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")  # beside other tests, 15 takes for ever

from ray.cluster_utils import Cluster

MEMORY = 80 * 2**20  # bytes of a node's object store, the least that Ray takes


def add_node(cluster: Cluster, cpus: int, store: Path | None = None) -> Any:
    """A node; its workers use the folder `store`, as the workers of another machine would."""
    variables = {} if store is None else {"FASHION_HPO_STORE": str(store)}
    return cluster.add_node(num_cpus=cpus, object_store_memory=MEMORY, env_vars=variables)


@contextmanager
def running(cpus: int = 0, client_port: int | None = None) -> Iterator[Cluster]:
    """A cluster whose head has so many CPUs; `ray://127.0.0.1:client_port` leads to it."""
    head: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": MEMORY}
    head |= {"include_dashboard": False}
    if client_port is not None:
        head["ray_client_server_port"] = client_port
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        cluster.shutdown()
