"""Benchmarks: our trainer against a usual training loop, and the bookkeeping of a trial."""

import resource
import statistics
import sys
import time
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import optuna
import torch
from optuna.trial import create_trial
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import Compose, Normalize, ToTensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan, make_plan, points
from fashion_hpo.design.spec import Budget, StudySpec, levels
from fashion_hpo.running import processes
from fashion_hpo.running.reconcile import reconcile
from fashion_hpo.running.session import Session, open_session
from fashion_hpo.running.workers import EpochDone, TrialEnded, TrialStarted, work
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Result
from fashion_hpo.stores.opening import connect
from fashion_hpo.stores.tracking import TAG
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits, Split, load_or_download
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train


class PillowImages(Dataset[tuple[Tensor, int]]):
    """Images one by one through Pillow and torchvision's transforms, as in R0's code."""

    def __init__(self, split: Split) -> None:
        self.images, self.labels = split.images.numpy(), split.labels.tolist()
        self.transform = Compose([ToTensor(), Normalize((0.5,), (0.5,))])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


@dataclass(frozen=True)
class TrainerSpeed:
    """Images trained per second, one value per repeat; the repeats are interleaved."""

    ours: list[float]
    usual: list[float]
    usual_with_workers: list[float]

    @property
    def ratio(self) -> float:
        """Median over repeats of our speed divided by that of the faster usual loop."""
        return statistics.median(
            ours / max(plain, workers)
            for ours, plain, workers in zip(
                self.ours, self.usual, self.usual_with_workers, strict=True
            )
        )


@dataclass(frozen=True)
class TrialCost:
    """Seconds of one whole trial and its parts; the rest is checkpoints, ledger and MLflow."""

    epochs: int
    whole: float
    training: float
    export: float
    peak_bytes: int

    @property
    def bookkeeping(self) -> float:
        """Seconds that are not training, evaluation or export."""
        return self.whole - self.training - self.export


def trainer_speed(data: Path | None, hardware: Hardware, repeats: int, images: int) -> TrainerSpeed:
    """Train the plain CNN at batch 128 by our trainer and the usual loop in turn, after a warm-up.

    Our trainer has `images` images in a pass, the slower usual loop half as many.  The usual loop
    runs in its own process, so that our trainer's memory settings do not speed it up.
    """
    splits = load_or_download(data)
    config = TrainConfig(architecture="cnn", pixel_range="symmetric", train_images=images, epochs=1)
    speed = TrainerSpeed([], [], [])
    with processes.pool(1, get_context("spawn")) as process:
        for repeat in range(repeats + 1):
            ours = _ours(config, splits, hardware)
            usual = process.submit(usual_loop, data, hardware.device, 0, images // 2).result()
            workers = process.submit(usual_loop, data, hardware.device, 2, images // 2).result()
            if repeat:
                speed.ours.append(ours)
                speed.usual.append(usual)
                speed.usual_with_workers.append(workers)
    return speed


def trial_cost(folder: Path, data: Path | None, device: str, epochs: int) -> TrialCost:
    """The cost of one trial of the plain CNN, with ledger and MLflow, in a fresh store.

    A short trial before it takes the time of imports, the first export and the first inserts.
    """
    store, splits = _own_store(folder), load_or_download(data)
    short = TrainConfig(architecture="cnn", train_images=1_000, epochs=1)
    list(work(open_session(store, _one_trial("short", short), device=device, splits=splits)))
    plan = _one_trial("bench", TrainConfig(architecture="cnn", epochs=epochs))
    session = open_session(store, plan, device=device, splits=splits)
    training = export = 0.0
    began = time.perf_counter()
    for event in work(session):
        if isinstance(event, EpochDone):
            training += event.epoch.seconds
        elif isinstance(event, TrialEnded):
            export = event.result.summaries["export_seconds"]
    return TrialCost(epochs, time.perf_counter() - began, training, export, peak_bytes())


def _own_store(folder: Path) -> Store:
    """A store whose databases are in the folder, whatever databases the environment names."""
    return Store(folder.resolve())


def _one_trial(name: str, config: TrainConfig) -> Plan:
    fixed = {"dropout": levels(config.dropout)}
    spec = StudySpec(base=config, scientific=fixed, seeds=1, budgets={"quick": Budget()})
    return make_plan(name, "What does bookkeeping cost?", spec, "quick")


@dataclass(frozen=True)
class LedgerCost:
    """Seconds of each step in a study with `trials` finished trials."""

    trials: int
    opening: float
    reconciling: float
    claiming: float  # median of a trial
    bookkeeping: float  # median of a trial: from claim to the mirror's last call, no training


def ledger_cost(folder: Path, data: Path | None, trials: int) -> LedgerCost:
    """The cost of a start and of a trial in a study with finished trials, in a fresh store."""
    base = TrainConfig(architecture="simple_cnn", train_images=1_000, epochs=2)
    spec = StudySpec(
        base=base,
        scientific={"dropout": levels(0.0, 0.2)},
        seeds=(trials + 10) // 2,
        budgets={"quick": Budget()},
    )
    plan = make_plan("bench_ledger", "What do finished trials cost?", spec, "quick")
    store = _own_store(folder)
    splits = load_or_download(data)
    _fill(open_session(store, plan, device="cpu", splits=splits), trials)

    began = time.perf_counter()
    session = open_session(store, plan, device="cpu", splits=splits)
    opened = time.perf_counter()
    list(reconcile(session.mirror))
    reconciled = time.perf_counter()
    claiming, bookkeeping = [], []
    for number in range(4):
        started = time.perf_counter()
        training = 0.0
        for event in work(session, max_trials=1):
            if isinstance(event, TrialStarted):
                claiming.append(time.perf_counter() - started)
            elif isinstance(event, EpochDone):
                training += event.epoch.seconds
            elif isinstance(event, TrialEnded):
                training += event.result.summaries["export_seconds"]
        if number:  # the first trial includes imports
            bookkeeping.append(time.perf_counter() - started - training)
    return LedgerCost(
        trials=trials,
        opening=opened - began,
        reconciling=reconciled - opened,
        claiming=statistics.median(claiming[1:]),
        bookkeeping=statistics.median(bookkeeping),
    )


def _fill(session: Session, trials: int) -> None:
    """Add finished trials to the ledger, and a run of each to MLflow."""
    ledger, tracker = session.ledger, session.tracker
    history = [{"epoch": n, "val_accuracy": 0.9, "seconds": 1.0} for n in range(1, 21)]
    result = vars(Result("complete", 0.9, history=history))
    study = optuna.load_study(study_name=ledger.name, storage=connect(session.store))
    for number, point in enumerate(points(ledger.plan)[:trials]):
        attributes = {"config": point.config.to_dict(), "point": point.id, "result": result}
        study.add_trial(create_trial(value=0.9, user_attrs=attributes))
        uid = f"{ledger.uid}-{number:05d}"
        tracker.client.create_run(tracker.experiment_id, tags={f"{TAG}.uid": uid})


def peak_bytes() -> int:
    """The peak memory of this process."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _ours(config: TrainConfig, splits: SearchSplits, hardware: Hardware) -> float:
    state = TrainingState(config, build_for(config), hardware)
    (epoch,) = epochs_of(train(state, splits))
    return epoch.images_per_second


def usual_loop(data: Path | None, device: str, workers: int, images: int) -> float:
    """Images per second of report R0's loop: a DataLoader over Pillow images, float32, the layers
    in the report's order, the loss read at every step.

    The loader processes are forked, as by default on Linux; a spawned process must ask for it.
    """
    split = _loaded(data).train.first(images)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    ).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    loss_function = nn.CrossEntropyLoss()
    loader = DataLoader(
        PillowImages(split),
        128,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers and sys.platform == "linux" else None,
    )
    running = 0.0
    began = time.perf_counter()
    for pixels, labels in loader:
        optimizer.zero_grad()
        loss = loss_function(model(pixels.to(device)), labels.to(device))
        loss.backward()
        optimizer.step()
        running += loss.item()
    return len(split) / (time.perf_counter() - began)


@cache
def _loaded(data: Path | None) -> SearchSplits:
    return load_or_download(data)
