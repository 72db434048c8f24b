import os
import sys
import tempfile
import threading
from multiprocessing.connection import Connection

import pytest

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


@pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux alone")
def test_a_temporary_folder_too_long_for_a_socket_does_without_forks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for length, method in ((70, "forkserver"), (71, "spawn")):
        monkeypatch.setattr(tempfile, "tempdir", "/".ljust(length, "a"))
        assert processes.context().get_start_method() == method
