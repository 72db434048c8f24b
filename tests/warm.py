"""Run one study where processes are forked from: first use of MLflow, Optuna and torch's export
takes a second and more, which each of many hundred forks would pay again.

For servers of forks alone, which import this (`multiprocessing.set_forkserver_preload`); nothing of
the study is left in their children.
"""

import gc
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import torch

from fashion_hpo.running import workers
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.training import devices
from tests import migrations  # noqa: F401  (for its effect)
from tests.images import search_splits
from tests.plans import design


def _run_once() -> None:
    plan, splits = design(seeds=1), search_splits()
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for _ in range(2):  # the second finds all done
            session = open_session(
                Store.at(Path(folder)), plan, device="cpu", threads=1, splits=splits
            )
            list(reconcile(session.mirror))
            list(workers.work(session))
            session.mirror.publish(None, {}, finished=True)


with (
    patch.object(torch.Tensor, "backward", lambda _: None),  # its threads survive no fork
    patch.object(devices, "_keep_freed_memory", lambda: None),  # a child may have a limit
):
    _run_once()
gc.freeze()  # else each fork's first collection copies every page of what is here
