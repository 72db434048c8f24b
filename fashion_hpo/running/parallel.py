"""Run several workers of one study as processes, which share only the ledger.

The same command in another terminal is one more worker; this module starts several at once and
yields their events.  Each worker has a pipe: a killed worker could hold a queue's lock for ever.
"""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from fashion_hpo.design.plan import Plan
from fashion_hpo.running import processes, workers
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.running.workers import Event, StudyHaltedError, TrialEnded
from fashion_hpo.stores.failures import disk_full, is_disk_full
from fashion_hpo.stores.layout import Store
from fashion_hpo.training.cores import asked_threads, usable_cores

DEATHS_IN_ALL = 3  # of workers, before the study halts


@dataclass(frozen=True)
class Start:
    """The arguments of a worker's process."""

    number: int
    store: Store
    plan: Plan
    data: Path | None
    device: str
    max_trials: int | None
    timeout: float | None
    side_by_side: int = 1


@dataclass(frozen=True)
class WorkerDied:
    """A worker's process was killed or crashed; another worker will train its point."""

    number: int
    reason: str


@dataclass(frozen=True)
class _Failed:
    """The last message of a worker that an error ended."""

    reason: str


Team = dict[Connection, tuple[BaseProcess, Start]]


def work(
    session: Session,
    count: int,
    *,
    data: Path | None = None,
    device: str = "auto",
    max_trials: int | None = None,
    timeout: float | None = None,
    side_by_side: int = 1,
) -> Iterator[Event | WorkerDied]:
    """Run points in `count` processes until none is left; yields the events of all workers.

    Each process trains `side_by_side` trials at once.  A worker that dies is replaced, and its
    points tried again.  Raises Stopped after a signal, once all workers have stopped;
    StudyHaltedError if a worker raises it or three workers die.
    """
    team: Team = {}
    deaths = 0
    done: Counter[int] = Counter()  # trials of each worker
    plan = session.ledger.plan
    deadline = None if timeout is None else time.monotonic() + timeout
    for number, share in enumerate(shares(count, max_trials)):
        own_device = device_of(number, device)
        _begin(
            team, Start(number, session.store, plan, data, own_device, share, timeout, side_by_side)
        )
    try:
        while team:
            for connection in _ready(session, team):
                if (event := _receive(connection)) is not None:
                    done[team[connection][1].number] += isinstance(event, TrialEnded)
                    yield event
                    continue
                process, start = team.pop(connection)
                process.join()
                if not process.exitcode:
                    continue
                deaths += 1
                died = WorkerDied(start.number, _cause(process.exitcode))
                yield died
                if deaths == DEATHS_IN_ALL:
                    raise StudyHaltedError(
                        f"{deaths} workers died, the last by {died.reason}; mend that and run the "
                        "same command again."
                    )
                list(reconcile(session.mirror))
                if (rest := _rest(start, done[start.number], deadline)) is not None:
                    _begin(team, rest)
    finally:
        _stop(team)


def shares(count: int, max_trials: int | None) -> list[int | None]:
    """Divide `max_trials` among at most `count` workers, at least one each; None is no limit."""
    if max_trials is None:
        return [None] * count
    count = min(count, max_trials)
    return [max_trials // count + (number < max_trials % count) for number in range(count)]


def threads_for(count: int, device: str) -> int | None:
    """Threads per trial of a new ledger: the cores divided by workers; None is the default."""
    if count == 1 or accelerators(device) or asked_threads():
        return None
    return max(1, usable_cores() // count)


def crowding(count: int, threads: int, device: str) -> str:
    """A warning, the end of a sentence, if the workers need more cores than there are."""
    cores = usable_cores()
    if accelerators(device) or count * threads <= cores:
        return ""
    return (
        f", which share {cores} core(s) at {threads} threads a trial and will be slow: a study "
        "keeps the threads it was begun with (the same command with --revise begins anew)"
    )


def accelerators(device: str) -> list[str]:
    """The accelerators that the workers take in turn; empty if they share the CPU's cores."""
    if device in ("auto", "cuda") and (count := torch.cuda.device_count()):
        return [f"cuda:{index}" for index in range(count)]
    if device == "auto":
        return ["mps"] if torch.backends.mps.is_available() else []
    return [] if device == "cpu" else [device]


def device_of(number: int, device: str) -> str:
    """A worker's device: the accelerators in turn, or `device` if there are none."""
    devices = accelerators(device)
    return devices[number % len(devices)] if devices else device


def _rest(start: Start, done: int, deadline: float | None) -> Start | None:
    """The work left for the process that replaces a dead worker; None if there is none."""
    trials = None if start.max_trials is None else start.max_trials - done
    seconds = None if deadline is None else deadline - time.monotonic()
    if trials == 0 or (seconds is not None and seconds <= 0):
        return None
    return replace(start, max_trials=trials, timeout=seconds)


def _begin(team: Team, start: Start) -> None:
    context = processes.context()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, start), name=f"worker-{start.number}")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # workers inherit it and ignore Ctrl-C
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, before)
    sender.close()
    team[receiver] = (process, start)


def _run(connection: Connection, start: Start) -> None:
    """The main function of a worker's process."""
    try:
        session = open_session(
            start.store, start.plan, data=start.data, device=start.device, worker=start.number
        )
        session.signals.install()
        session.signals.leaves_at_second = False  # the system and our `_stop` may each send one
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        events = workers.work(
            session,
            max_trials=start.max_trials,
            timeout=start.timeout,
            worker=start.number,
            side_by_side=start.side_by_side,
        )
        for event in events:
            connection.send(event)
    except (StudyHaltedError, ValueError) as error:  # another worker would fail in the same way
        connection.send(_Failed(str(error)))
    except Stopped as stopped:
        raise SystemExit(stopped.exit_code) from None
    except BrokenPipeError:
        raise SystemExit(1) from None  # the parent process is gone
    except Exception as error:
        if not is_disk_full(error):
            raise
        connection.send(_Failed(disk_full(error, start.store.root)))


def _ready(session: Session, team: Team) -> list[Connection]:
    with session.signals.interruptible():
        return [pipe for pipe in wait(list(team)) if isinstance(pipe, Connection)]


def _receive(connection: Connection) -> Event | None:
    """A worker's next event; None after its end.  A killed worker may leave half a message."""
    try:
        event: Event | _Failed = connection.recv()
    except (EOFError, OSError):
        return None
    if isinstance(event, _Failed):
        raise StudyHaltedError(event.reason)
    return event


def _cause(exitcode: int) -> str:
    return signal.Signals(-exitcode).name if exitcode < 0 else f"exit code {exitcode}"


def _stop(team: Team) -> None:
    """Stop all workers and wait for them; keep reading, because a full pipe blocks a worker."""
    for process, _ in team.values():
        process.terminate()
    while team:
        for connection in wait(list(team)):
            assert isinstance(connection, Connection)
            try:
                connection.recv()
            except (EOFError, OSError):
                process, _ = team.pop(connection)
                process.join()
