import os
import sys
import threading
from multiprocessing.connection import Connection

from fashion_hpo.running import processes


def tell(connection: Connection) -> None:
    """Which process this is, how many threads it has, and whether it had all imported."""
    there = "fashion_hpo.running.workers" in sys.modules
    connection.send((os.getpid(), threading.active_count(), there))
    connection.close()


def test_a_process_is_begun_afresh_with_all_imported() -> None:
    context = processes.context()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=tell, args=(theirs,))
    process.start()
    theirs.close()
    with ours:
        pid, threads, imported = ours.recv()
    process.join()
    assert pid == process.pid != os.getpid()
    assert (process.exitcode, threads) == (0, 1)
    assert imported == (sys.platform == "linux")
