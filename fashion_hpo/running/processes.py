"""Start processes for more workers quickly."""

import multiprocessing
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

USED_BY_ALL = [
    "fashion_hpo.engines.worker",
    "mlflow.pytorch",  # this and the next are imported only at first use
    "mlflow.store.tracking.sqlalchemy_store",
    "torch.export._trace",
]
LONGEST_FOLDER = 70
"""Bytes of the temporary folder's name.  The path of the fork server's socket in that folder adds
about 32 bytes and may have 107."""


def context() -> "ForkServerContext | SpawnContext":
    """The multiprocessing context that starts them.

    Never a fork of this process, whose threads and CUDA state a fork breaks.  On Linux they are
    forks of a server process that has only imported all modules, which takes seconds; elsewhere
    each process imports the modules itself.
    """
    if sys.platform != "linux" or len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        return multiprocessing.get_context("spawn")
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(USED_BY_ALL)
    return forks
