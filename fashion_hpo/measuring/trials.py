"""Whole trials: how many an hour, where the time of one goes, and what a command adds to them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.study_file import load_study
from fashion_hpo.running.session import open_session
from fashion_hpo.running.signals import StopSignals
from fashion_hpo.running.workers import TrialEnded, work
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.training.data import load_or_download

STUDY, BUDGET = "dropout_ablation", "quick"  # of whose plan the trials are: six
ADDRESSES = ("FASHION_HPO_STORAGE", "MLFLOW_TRACKING_URI")


@dataclass(frozen=True)
class Size:
    """The size of a trial of the plain CNN, and how many trials take turns."""

    images: int
    epochs: int
    side_by_side: int = 1

    def changes(self) -> dict[str, object]:
        """The fields that differ from the study's."""
        return {"architecture": "cnn", "train_images": self.images, "epochs": self.epochs}


@dataclass(frozen=True)
class Cost:
    """Mean seconds of a whole trial and its parts.

    bookkeeping: work of the main thread on checkpoints, documents, ledger and MLflow.
    """

    whole: float
    training: float
    evaluation: float
    export: float
    bookkeeping: float

    @property
    def waiting(self) -> float:
        """The other seconds, such as for a disk."""
        return self.whole - self.training - self.evaluation - self.export - self.bookkeeping


@dataclass(frozen=True)
class Edges:
    """Seconds of a command before its first epoch and after its last one."""

    before: float
    after: float


class _Clock(StopSignals):
    """Measures the seconds that the main thread works in training steps."""

    def __init__(self) -> None:
        super().__init__()
        self.working = 0.0

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        worked = time.thread_time()
        with super().interruptible():
            yield
        self.working += time.thread_time() - worked


def cost(folder: Path, data: Path | None, device: str, size: Size) -> Cost:
    """The cost of a trial, with ledger and MLflow, in a new store.

    The first trial is not measured: it takes the time of imports and of the network's export.
    """
    question, spec = load_study(STUDY)
    plan = make_plan(STUDY, question, spec, BUDGET, changes=size.changes())
    store, splits = Store(folder.resolve()), load_or_download(data)
    session = open_session(store, plan, device=device, splits=splits)
    list(work(session, max_trials=1))
    clock = _Clock()
    began, worked = time.perf_counter(), time.thread_time()
    events = work(replace(session, signals=clock), side_by_side=size.side_by_side)
    results = [event.result for event in events if isinstance(event, TrialEnded)]
    whole, working = time.perf_counter() - began, time.thread_time() - worked
    epochs = [epoch for result in results for epoch in result.history]
    training = sum(size.images / epoch["images_per_second"] for epoch in epochs)
    evaluation = sum(epoch["seconds"] for epoch in epochs) - training
    export = sum(result.summaries["export_seconds"] for result in results)
    rest = whole - training - evaluation - export
    bookkeeping = min(rest, max(0.0, working - clock.working - export))  # the export works always
    parts = (whole, training, evaluation, export, bookkeeping)
    return Cost(*(seconds / len(results) for seconds in parts))


def command(size: Size) -> list[str]:
    """The command of the study with trials of this size, without its store."""
    changes = [f"--set={name}={value}" for name, value in size.changes().items()]
    turns = ["--side-by-side", str(size.side_by_side)] if size.side_by_side > 1 else []
    return ["-m", "fashion_hpo.study", STUDY, "--budget", BUDGET, *changes, *turns]


def edges(folder: Path, data: Path | None, device: str, size: Size) -> Edges:
    """Run the command in a new store.  Raises RuntimeError if it fails."""
    where = ["--store", str(folder), "--device", device]
    where += ["--data", str(data)] if data else []
    environment = {name: value for name, value in os.environ.items() if name not in ADDRESSES}
    began = time.time()
    done = subprocess.run(
        [sys.executable, *command(size), *where],
        env=environment, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    ended = time.time()
    if done.returncode:
        raise RuntimeError(f"the command ended with {done.returncode}: {done.stderr.strip()}")
    (ledger,) = all_ledgers(Store(folder.resolve()))
    epochs = [epoch for e in ledger.entries() if e.result for epoch in e.result.history]
    first = min(epoch["timestamp"] / 1000 - epoch["seconds"] for epoch in epochs)
    return Edges(first - began, ended - max(epoch["timestamp"] / 1000 for epoch in epochs))


def parts(costs: Sequence[Cost], around: Sequence[Edges]) -> dict[str, list[float]]:
    """The seconds of each repeat, by what they are spent on."""
    return {
        "a trial": [cost.whole for cost in costs],
        "training": [cost.training for cost in costs],
        "evaluation": [cost.evaluation for cost in costs],
        "export, reload, compare": [cost.export for cost in costs],
        "checkpoints, documents, ledger, MLflow": [cost.bookkeeping for cost in costs],
        "waiting": [cost.waiting for cost in costs],
        "a study until its first epoch begins": [edge.before for edge in around],
        "a study after its last epoch": [edge.after for edge in around],
    }
