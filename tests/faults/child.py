"""What the processes run that faults are injected into.

They are forked from a server that has imported all of this: imports alone take seconds.
"""

import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from fashion_hpo import study as study_command
from fashion_hpo.design.plan import Plan
from fashion_hpo.registering import registration
from fashion_hpo.running import (
    publish,  # noqa: F401  (imported for the forks)
    workers,
)
from fashion_hpo.running import session as running_session
from fashion_hpo.running.confirmation import open_confirmation
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.signals import Stopped
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.models import read_model, write_model
from fashion_hpo.stores.opening import read_ledger
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.terminal import progress
from fashion_hpo.training import packaging, train
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.evaluate import Score
from tests.images import search_splits
from tests.plans import TINY

EVENT = "fashion_hpo.write"
HALTED, STOPPED = 3, 4  # exit codes
Fault = Callable[[], None]

torch.set_num_threads(1)


@dataclass(frozen=True)
class Moment:
    """The nth time that a write was made, from 1; `*` is any write."""

    write: str
    nth: int = 1


def study(store: Store, plan: Plan, fault: Fault | None = None, side_by_side: int = 1) -> None:
    """One worker's whole life: what the command `study` does, without its printing."""
    if fault is not None:
        fault()
    session = opened(store, plan)
    try:
        for _ in reconcile(session.mirror):
            pass
        for _ in workers.work(session, side_by_side=side_by_side):
            pass
        if workers.promote(session):
            list(workers.work(session, side_by_side=side_by_side))
    except Stopped:
        sys.exit(STOPPED)
    except workers.StudyHaltedError:
        sys.exit(HALTED)
    folder = store.report(session.ledger.name)
    folder.mkdir(parents=True, exist_ok=True)
    session.mirror.publish(folder, {}, finished=session.ledger.remaining() == 0)


def command(store: Store, plan: Plan, folder: Path, place: Path | None, encoding: str) -> None:
    """The command `study` itself, in a folder that has a study file of this plan's name.

    `place` is the file that standard output goes to; None where it was closed.
    """
    opened(store, plan)  # with one thread, as all studies here
    os.chdir(folder)
    os.close(1)
    sys.stdout = None  # type: ignore[assignment]  # as Python starts without one
    if place is not None:
        os.open(place, os.O_WRONLY)  # takes the number 1
        sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.__stdout__ = sys.stdout  # type: ignore[misc]
    progress.PLAIN_EVERY_SECONDS = 0  # a line an epoch
    running_session.load_or_download = lambda *_: SPLITS  # type: ignore[assignment]
    arguments = [plan.name, "--store", str(store.root), "--device", "cpu"]
    sys.exit(study_command.main(arguments))


def confirm(store: Store, plan: Plan, fault: Fault | None = None) -> None:
    """What the command `study` does once a search is done."""
    if fault is not None:
        fault()
    session = open_confirmation(opened(store, plan), device="cpu")
    assert session is not None
    list(reconcile(session.mirror))
    list(workers.work(session))
    finished = session.ledger.remaining() == 0
    session.mirror.publish(None, {}, finished=finished)


def register(store: Store, plan: Plan, fault: Fault | None = None) -> None:
    """What the command `register` does, without the gate and the test images."""
    if fault is not None:
        fault()
    ledger = read_ledger(store, plan)
    assert ledger is not None
    tracker = Tracker(store, plan.name)
    chosen = registration.candidate(ledger, tracker)
    model = registration.load_proven(chosen, tracker, SPLITS)
    registration.register(chosen, tracker, model, {"study": plan.name}, "# card")


def opened(store: Store, plan: Plan) -> Session:
    """The plan, opened on synthetic images, its signals taken over."""
    session = open_session(store, plan, device="cpu", threads=1, splits=SPLITS)
    session.signals.install()
    return session


def at(moment: Moment, do: Callable[[], None]) -> None:
    """Do something at a moment of this process."""
    seen = 0

    def hook(event: str, args: tuple[object, ...]) -> None:
        nonlocal seen
        if event == EVENT and moment.write in ("*", args[0]):
            seen += 1
            if seen == moment.nth:
                do()

    sys.addaudithook(hook)


def die() -> None:
    """As a kill -9, a power cut or the kernel's memory killer ends a process."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed_at(moment: Moment) -> None:
    """A fault: die at a moment."""
    at(moment, die)


def raising_at(moment: Moment, error: Exception) -> None:
    """A fault: an exception at a moment."""

    def throw() -> None:
        raise error

    at(moment, throw)


def signalled_at(moment: Moment, *signals: int) -> None:
    """A fault: signals to this process at a moment, one right after the other."""

    def send() -> None:
        for number in signals:
            os.kill(os.getpid(), number)

    at(moment, send)


def marked_at(moment: Moment, path: Path) -> None:
    """No fault yet: make a file at a moment, for others to see, and wait there for a second one."""

    def mark() -> None:
        path.touch()
        while not path.with_suffix(".go").exists():
            time.sleep(0.005)

    at(moment, mark)


def with_loss(value: float, epoch: int) -> None:
    """A fault: the validation loss of an epoch is this value."""
    measured, calls = train.score, 0

    def score(logits: Tensor, labels: Tensor) -> Score:
        nonlocal calls
        calls += 1  # two an epoch: training sample, validation
        found = measured(logits, labels)
        return found._replace(loss=torch.tensor(value)) if calls == 2 * epoch else found

    train.score = score


def with_memory_left(megabytes: int) -> None:
    """A fault: this process may only have so much memory more than it has.

    What is only reserved does not count: how much that is depends on threads and processors.
    """
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    limit = pages * resource.getpagesize() + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def recording(path: Path) -> None:
    """No fault: write down every moment of this process, a line each."""
    file = path.open("a")
    sys.addaudithook(
        lambda event, args: print(args[0], file=file, flush=True) if event == EVENT else None
    )


def _warm() -> None:
    """Import what is imported at first use: exporting and reading a model does most of that."""
    network = build_for(TINY)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        write_model(packaging.served(network, "unit"), path, SPLITS.val.images[:2].numpy(), {})
        packaging.probabilities_of(read_model(str(path)), SPLITS.val.images)
        packaging.flops(network)


SPLITS = search_splits()
_warm()
