"""Workers as processes of this machine.

Each worker has a pipe: a killed worker could hold a queue's lock for ever.
"""

import signal
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from fashion_hpo.engines import worker
from fashion_hpo.engines.sharing import device_of
from fashion_hpo.engines.team import Ended, Failed, Start
from fashion_hpo.running import processes
from fashion_hpo.running.signals import StopSignals
from fashion_hpo.running.workers import Event


class Local:
    """The engine of one machine: a process for each worker."""

    def __init__(self) -> None:
        self._team: dict[Connection, tuple[BaseProcess, int]] = {}

    def start(self, start: Start) -> None:
        """Start a worker's process; the workers take the accelerators in turn."""
        start = replace(start, device=device_of(start.number, start.device))
        context = processes.context()
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(
            target=worker.run, args=(sender, start), name=f"worker-{start.number}"
        )
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # workers inherit it: no Ctrl-C
        try:
            process.start()
        finally:
            signal.signal(signal.SIGINT, before)
        sender.close()
        self._team[receiver] = (process, start.number)

    def told(self, signals: StopSignals) -> Iterator[tuple[int, Event | Failed | Ended]]:
        """See `Engine`; waits until a worker tells something or ends."""
        with signals.interruptible():
            ready = wait(list(self._team))
        for connection in ready:
            assert isinstance(connection, Connection)
            process, number = self._team[connection]
            if (told := receive(connection)) is not None:
                yield number, told
                continue
            del self._team[connection]
            process.join()
            yield number, Ended(worker.cause(process.exitcode) if process.exitcode else "")

    def stop(self) -> None:
        """See `Engine`; keeps reading, because a full pipe blocks a worker."""
        for process, _ in self._team.values():
            process.terminate()
        while self._team:
            for connection in wait(list(self._team)):
                assert isinstance(connection, Connection)
                try:
                    connection.recv()
                except (EOFError, OSError):
                    process, _ = self._team.pop(connection)
                    process.join()


def receive(connection: Connection) -> Event | Failed | None:
    """What a worker tells next; None after its end.  A killed worker may leave half a message."""
    try:
        told: Event | Failed = connection.recv()
    except (EOFError, OSError):
        return None
    return told
