"""The main function of a worker's process, whichever engine has started it.

`python -m fashion_hpo.engines.worker PIPE` reads what to do from standard input and sends its
events through the pipe of this number.
"""

import os
import pickle
import signal
import sys
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from fashion_hpo.engines.team import Failed, Start
from fashion_hpo.running import workers
from fashion_hpo.running.session import open_session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.workers import StudyHaltedError
from fashion_hpo.stores.failures import disk_full, is_disk_full


def run(connection: Connection, start: Start) -> None:
    """Train points; every event goes into the connection."""
    try:
        session = open_session(
            start.store, start.plan, data=start.data, device=start.device, worker=start.number
        )
        session.signals.install()
        session.signals.leaves_at_second = False  # the system and the engine may each send one
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        events = workers.work(
            session,
            max_trials=start.max_trials,
            timeout=start.timeout,
            worker=start.number,
            side_by_side=start.side_by_side,
        )
        for event in events:
            try:
                connection.send(event)
            except BrokenPipeError:  # nobody listens any more: close the trial and leave
                session.signals.request(signal.SIGTERM)
    except (StudyHaltedError, ValueError) as error:  # another worker would fail in the same way
        connection.send(Failed(str(error)))
    except Stopped as stopped:
        raise SystemExit(stopped.exit_code) from None
    except Exception as error:
        if not is_disk_full(error):
            raise
        connection.send(Failed(disk_full(error, start.store.root)))


def cause(exitcode: int) -> str:
    """The cause of a process's death, by its exit code."""
    return signal.Signals(-exitcode).name if exitcode < 0 else f"exit code {exitcode}"


def main() -> None:
    """The worker of one Ray task."""
    start: Start = pickle.load(sys.stdin.buffer)
    folder = os.environ.get("FASHION_HPO_STORE")  # of this node, as its administrator set it
    if folder and start.store.storage is not None:
        start = replace(start, store=replace(start.store, root=Path(folder).absolute()))
    with Connection(int(sys.argv[1]), readable=False) as connection:
        run(connection, start)


if __name__ == "__main__":
    main()
