"""Start processes for more workers quickly."""

import multiprocessing
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
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


def pool(
    workers: int,
    context: "ForkServerContext | SpawnContext",
    prepare: Callable[..., None] | None = None,
    *arguments: object,
) -> ProcessPoolExecutor:
    """A pool whose workers end when this process dies, even if it is killed.

    An executor's workers hold both ends of the pipe of their work: they alone would wait for ever.
    prepare: called in each worker with the arguments, before its first work.
    """
    return ProcessPoolExecutor(workers, context, partial(_begin, prepare, *arguments))


def _begin(prepare: Callable[..., None] | None, *arguments: object) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()  # until the parent's end of a pipe is closed
    os._exit(1)
