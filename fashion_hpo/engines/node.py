"""What Ray runs on a node: a worker in a process of its own, and the way of its events.

Ray's process handles SIGTERM in another way than a worker must, and needs neither torch nor MLflow:
this module has the standard library alone, and passes the events on as bytes.
"""

import hashlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Literal

WAKE_SECONDS = 0.5  # between two moments at which Ray can interrupt the waiting
STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
Outcome = tuple[Literal["ended", "died", "lost", "refused"], str]


def package_hash() -> str:
    """The sha256 of this package's source files, with their names."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def work(
    start: bytes, variables: Mapping[str, str], package: str, number: int, queue: Any
) -> Outcome:
    """Run a worker of the study; its events go into the queue.  Returns how it ended.

    start: a pickled `Start`.  variables: added to the worker's environment.  package: the hash that
    this node's package must have.  Ray raises KeyboardInterrupt here if the study is stopped.
    """
    if package_hash() != package:
        return "refused", (
            f"node {platform.node()} has another version of fashion_hpo; install the same version "
            "on every node."
        )
    receiver, sender = Pipe(duplex=False)
    with receiver, tempfile.TemporaryFile() as errors:
        with sender:
            process = _begin(start, variables, sender, errors)
        try:
            _pass_on(receiver, number, queue)
        except KeyboardInterrupt:
            process.terminate()
            _pass_on(receiver, number, queue)
        except BaseException:  # nobody takes the events any more
            process.terminate()
            raise
        finally:
            process.wait()  # no SIGTERM after its last event: its death would be counted
        return _outcome(process.returncode, errors)


def _begin(
    start: bytes, variables: Mapping[str, str], sender: Connection, errors: IO[bytes]
) -> subprocess.Popen[bytes]:
    project = str(Path(__file__).parents[2])
    paths = [project, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-m", "fashion_hpo.engines.launch"]
    with tempfile.TemporaryFile() as file:
        file.write(start)
        file.seek(0)
        return subprocess.Popen(
            [*command, str(sender.fileno()), str(os.getpid())],
            env=environment,
            stdin=file,
            stderr=errors,
            stdout=subprocess.DEVNULL,
            pass_fds=[sender.fileno()],
            start_new_session=True,  # Ray also kills the group of its process
        )


def _pass_on(receiver: Connection, number: int, queue: Any) -> None:
    """Put the worker's events into the queue until the worker has closed its pipe."""
    has_ended = False
    while not has_ended:
        events = []
        try:
            wait = WAKE_SECONDS
            while receiver.poll(wait):
                events.append(receiver.recv_bytes())
                wait = 0.0
        except (EOFError, OSError):  # also half a message, of a worker that was killed
            has_ended = True
        if events:
            queue.put((number, events))


def _outcome(exitcode: int, errors: IO[bytes]) -> Outcome:
    if exitcode == 0:
        return "ended", ""
    if exitcode in STOPPED:
        return "lost", f"its node {platform.node()}, which stops"
    if exitcode < 0:
        return "died", signal.Signals(-exitcode).name
    errors.seek(0)
    lines = errors.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "died", f"exit code {exitcode}{f' ({last[:300]})' if last else ''}"
