"""Processes beside this one that train as well, and are there quickly."""

import multiprocessing
import os
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

USED_BY_ALL = [
    "fashion_hpo.running.parallel",
    "mlflow.store.tracking.sqlalchemy_store",  # these two are imported where they are first used
    "torch.export._trace",
]
LONGEST_FOLDER = 70
"""Bytes.  The forks are asked for by a socket in the temporary folder, whose whole name has some 32
more and may have 107."""


def context() -> "ForkServerContext | SpawnContext":
    """How they are started.

    Never as forks of this process: threads and CUDA do not survive that.  On Linux they are forks
    of one that has imported everything, which takes seconds, and has done nothing else; elsewhere
    each imports for itself.
    """
    if sys.platform != "linux" or len(os.fsencode(tempfile.gettempdir())) > LONGEST_FOLDER:
        return multiprocessing.get_context("spawn")
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(USED_BY_ALL)
    return forks
