import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from multiprocessing.connection import Connection
from typing import Literal

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


SECONDS = 60  # for what takes a second


def keep(connection: Connection) -> None:
    """The worker holds the connection as long as it lives."""
    connection.send(os.getpid())
    globals()["held"] = connection


def own_pool(method: Literal["forkserver", "spawn"], connection: Connection) -> None:
    """Use a pool until this process is killed."""
    with processes.pool(1, multiprocessing.get_context(method), keep, connection) as pool:
        pool.submit(int).result()
        signal.pause()


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_pool_ends_with_the_process_that_owns_it(method: str) -> None:
    context = processes.context()
    ours, theirs = context.Pipe(duplex=False)
    owner = context.Process(target=own_pool, args=(method, theirs))
    owner.start()
    theirs.close()
    with ours:
        assert ours.poll(SECONDS)
        worker = ours.recv()
        owner.kill()
        owner.join()
        try:
            assert ours.poll(SECONDS), "the worker still lives"
            with pytest.raises(EOFError):  # no process holds the other end
                ours.recv()
        except BaseException:
            os.kill(worker, signal.SIGKILL)
            raise
