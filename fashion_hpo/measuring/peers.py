"""Whole trials by this project, and by what people use in its place, on the same images.

A trial trains report R0's network with Adam, measures validation accuracy after every epoch, and
leaves its parameters, its curve and its model in MLflow.  The rate falls along a cosine: at a
constant rate the last epoch's accuracy varies by more than a point between seeds.  Each peer does
so as its own documentation shows (Optuna's `log_model` thus looks for the model's requirements
itself); the tuned loop is what an expert would write by hand.
"""

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mlflow
import optuna
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import make_plan
from fashion_hpo.design.spec import Budget, StudySpec, levels
from fashion_hpo.measuring.benchmarks import PillowImages
from fashion_hpo.running import processes
from fashion_hpo.running.session import open_session
from fashion_hpo.running.workers import TrialEnded, work
from fashion_hpo.stores.layout import Store
from fashion_hpo.training import devices
from fashion_hpo.training.cores import usable_cores
from fashion_hpo.training.data import SearchSplits, load_or_download

DROPOUTS = (0.0, 0.2, 0.4)
RATE, LAST_RATE = 1e-3, 1e-5
BATCH = 128
EVALUATION_BATCH = 500
ACCURACY_MARGIN = 0.005  # a speed counts only if the mean accuracy is as near as this to ours
EXTRA = "`pip install 'fashion_hpo[peers]'`"


@dataclass(frozen=True)
class Trials:
    """What each peer has to do: trials of these lengths, at DROPOUTS in turn, a seed each."""

    count: int
    images: int
    epochs: int

    def points(self) -> list[tuple[float, int]]:
        """Dropout and seed of each trial."""
        return [(DROPOUTS[n % len(DROPOUTS)], n // len(DROPOUTS)) for n in range(self.count)]

    @property
    def steps(self) -> int:
        """Optimizer steps of a trial."""
        return self.epochs * -(-self.images // BATCH)


@dataclass
class Speed:
    """Of one peer: a value a round."""

    seconds: list[float] = field(default_factory=list)  # a trial
    accuracy: list[float] = field(default_factory=list)  # mean over the trials


Peer = Callable[[Trials, SearchSplits, Path], list[float]]  # the trials' validation accuracies


def compare(trials: Trials, rounds: int, data: Path | None) -> Iterator[tuple[str, Speed]]:
    """Run all peers in turn, `rounds` times; yields a peer's speeds after each of its turns.

    Each turn has a process and a folder of its own, and a short trial before the clock starts,
    which takes the time of imports and of new databases.
    """
    speeds = {name: Speed() for name in available()}
    for _ in range(rounds):
        for name, speed in speeds.items():
            with processes.pool(1, get_context("spawn")) as process:
                seconds, accuracies = process.submit(_turn, name, trials, data).result()
            check_complete(name, trials, accuracies)
            speed.seconds.append(seconds / trials.count)
            speed.accuracy.append(statistics.fmean(accuracies))
            yield name, speed


def row(name: str, speed: Speed, ours: Speed) -> str:
    """A peer's line: seconds a trial (median, range), their ratio to ours, mean accuracy."""
    ratio = statistics.median(
        theirs / mine for theirs, mine in zip(speed.seconds, ours.seconds, strict=True)
    )
    accuracy = statistics.fmean(speed.accuracy)
    near = abs(accuracy - statistics.fmean(ours.accuracy)) <= ACCURACY_MARGIN
    return (
        f"{name:27} {statistics.median(speed.seconds):5.2f} "
        f"({min(speed.seconds):5.2f} to {max(speed.seconds):5.2f})    {ratio:5.2f}     "
        f"{accuracy:.2%}{'' if near else ', too far from ours for the speed to count'}"
    )


def available() -> list[str]:
    """The peers that can run here, this project first."""
    return [name for name in PEERS if name not in missing()]


def missing() -> dict[str, str]:
    """The peers that cannot run here, and why."""
    reasons = {
        name: f"{package} is not installed: {EXTRA}"
        for name, package in ((RAY, "ray"), (LIGHTNING, "lightning"))
        if importlib.util.find_spec(package) is None
    }
    if devices.choose("cpu").precision != "bf16":
        reasons[TUNED_BF16] = "this processor is slower in bf16"
    return reasons


def _turn(name: str, trials: Trials, data: Path | None) -> tuple[float, list[float]]:
    splits = load_or_download(data)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # Lightning and MLflow write where they stand
        mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
        mlflow.set_experiment("peers")
        PEERS[name](Trials(1, 1_000, 1), splits, Path(folder) / "short")
        began = time.perf_counter()
        accuracies = PEERS[name](trials, splits, Path(folder) / "trials")
        seconds = time.perf_counter() - began
        os.chdir("/")
    return seconds, accuracies


def check_complete(name: str, trials: Trials, accuracies: list[float]) -> None:
    """Raise RuntimeError if a peer ended another number of trials than it had to."""
    if len(accuracies) != trials.count:
        raise RuntimeError(f"{name} ended {len(accuracies)} of {trials.count} trials.")


def _ours(trials: Trials, splits: SearchSplits, folder: Path) -> list[float]:
    base = TrainConfig(
        architecture="cnn", pixel_range="symmetric", batch_size=BATCH, learning_rate=RATE,
        schedule="cosine", final_learning_rate=LAST_RATE,
        train_images=trials.images, epochs=trials.epochs,
    )  # fmt: skip
    used = DROPOUTS[: trials.count]
    spec = StudySpec(
        base=base,
        scientific={"dropout": levels(*used)},
        seeds=-(-trials.count // len(used)),
        budgets={"quick": Budget()},
    )
    plan = make_plan(f"peers_{folder.name}", "How long is a whole trial?", spec, "quick")
    session = open_session(Store(folder.parent / "ours"), plan, device="cpu", splits=splits)
    ended = (event for event in work(session, max_trials=trials.count))
    return [
        event.result.history[-1]["val_accuracy"] for event in ended if isinstance(event, TrialEnded)
    ]


def network(dropout: float) -> nn.Sequential:
    """R0's network in the report's order of layers."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(128, 10),
    )  # fmt: skip


def falling(optimizer: torch.optim.Optimizer, trials: Trials) -> CosineAnnealingLR:
    """The schedule of every peer; it makes a step after each step of the optimizer."""
    return CosineAnnealingLR(optimizer, max(1, trials.steps - 1), LAST_RATE)


def _usual(
    model: nn.Module, trials: Trials, splits: SearchSplits, log: Callable[[float, int], None]
) -> None:
    """The training loop of Optuna's and Ray's examples: a DataLoader, float32, one image at a time
    through Pillow and torchvision; `log` gets the validation accuracy and the epoch."""
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    scheduler = falling(optimizer, trials)
    loss_function = nn.CrossEntropyLoss()
    train = DataLoader(PillowImages(splits.train.first(trials.images)), BATCH, shuffle=True)
    val = DataLoader(PillowImages(splits.val), EVALUATION_BATCH)
    for epoch in range(1, trials.epochs + 1):
        model.train()
        for pixels, labels in train:
            optimizer.zero_grad()
            loss = loss_function(model(pixels), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
        model.eval()
        correct = 0
        with torch.no_grad():
            for pixels, labels in val:
                correct += int((model(pixels).argmax(1) == labels).sum())
        log(correct / len(splits.val), epoch)


def _optuna(trials: Trials, splits: SearchSplits, folder: Path) -> list[float]:
    """Optuna's PyTorch and MLflow examples, put together."""

    def objective(trial: optuna.Trial) -> float:
        dropout = trial.suggest_categorical("dropout", DROPOUTS)
        seed = trial.suggest_int("seed", 0, trials.count)
        torch.manual_seed(seed)
        model = network(dropout)
        accuracies: list[float] = []

        def log(accuracy: float, epoch: int) -> None:
            accuracies.append(accuracy)
            mlflow.log_metric("val_accuracy", accuracy, epoch)

        with mlflow.start_run():
            mlflow.log_params({**trial.params, "learning_rate": RATE, "batch_size": BATCH})
            _usual(model, trials, splits, log)
            mlflow.pytorch.log_model(model, name="model", serialization_format="pickle")
        return accuracies[-1]

    folder.mkdir()
    study = optuna.create_study(storage=f"sqlite:///{folder}/optuna.db", direction="maximize")
    for dropout, seed in trials.points():
        study.enqueue_trial({"dropout": dropout, "seed": seed})
    study.optimize(objective, n_trials=trials.count)
    return [float(trial.values[0]) for trial in study.get_trials()]


def _tuned(trials: Trials, splits: SearchSplits, folder: Path, dtype: torch.dtype) -> list[float]:
    """All images in memory as tensors, a fused optimizer, one call a batch; MLflow's calls batched,
    and no search for the model's requirements."""
    pixels, labels = _prepared(splits.train.first(trials.images).images), splits.train.labels
    val = _prepared(splits.val.images)
    accuracies = []
    for dropout, seed in trials.points():
        torch.manual_seed(seed)
        model = network(dropout)
        optimizer = torch.optim.Adam(model.parameters(), RATE, fused=True)
        scheduler = falling(optimizer, trials)
        curve = []
        for _ in range(trials.epochs):
            model.train()
            for rows in torch.randperm(trials.images).split(BATCH):
                with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                    loss = nn.functional.cross_entropy(model(pixels[rows]), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            model.eval()
            with torch.no_grad(), torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                answers = [model(batch).argmax(1) for batch in val.split(EVALUATION_BATCH)]
            curve.append(float((torch.cat(answers) == splits.val.labels).float().mean()))
        with mlflow.start_run():
            mlflow.log_params({"dropout": dropout, "seed": seed, "learning_rate": RATE})
            for epoch, accuracy in enumerate(curve, 1):
                mlflow.log_metric("val_accuracy", accuracy, epoch)
            mlflow.pytorch.log_model(
                model, name="model", serialization_format="pickle", pip_requirements=["torch"]
            )
        accuracies.append(curve[-1])
    return accuracies


def _tuned_fp32(trials: Trials, splits: SearchSplits, folder: Path) -> list[float]:
    return _tuned(trials, splits, folder, torch.float32)


def _tuned_bf16(trials: Trials, splits: SearchSplits, folder: Path) -> list[float]:
    return _tuned(trials, splits, folder, torch.bfloat16)


def _prepared(images: Tensor) -> Tensor:
    return images.unsqueeze(1).float() / 127.5 - 1


def _ray(trials: Trials, splits: SearchSplits, folder: Path) -> list[float]:
    """Ray Tune with OptunaSearch and its MLflow callback: a core a trial, as by default."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray
    from ray import tune
    from ray.air.integrations.mlflow import MLflowLoggerCallback
    from ray.tune.search.optuna import OptunaSearch

    def trainable(config: dict[str, Any], images: SearchSplits) -> None:
        torch.manual_seed(config["seed"])
        model = network(config["dropout"])

        def log(accuracy: float, epoch: int) -> None:
            with tempfile.TemporaryDirectory() as checkpoint:
                torch.save(model.state_dict(), Path(checkpoint) / "model.pt")
                metrics = {"val_accuracy": accuracy, "epoch": epoch}
                tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(checkpoint))

        _usual(model, trials, images, log)

    if not ray.is_initialized():
        ray.init(num_cpus=usable_cores(), include_dashboard=False, log_to_driver=False)
    points = [{"dropout": dropout, "seed": seed} for dropout, seed in trials.points()]
    space = {
        "dropout": optuna.distributions.CategoricalDistribution(DROPOUTS),
        "seed": optuna.distributions.IntDistribution(0, trials.count),
    }
    search = OptunaSearch(space, metric="val_accuracy", mode="max", points_to_evaluate=points)
    tracking = MLflowLoggerCallback(
        tracking_uri=mlflow.get_tracking_uri(), experiment_name="peers", save_artifact=True
    )
    results: Any = tune.Tuner(
        tune.with_resources(tune.with_parameters(trainable, images=splits), {"cpu": 1}),
        tune_config=tune.TuneConfig(search_alg=search, num_samples=trials.count),
        run_config=tune.RunConfig(storage_path=str(folder), callbacks=[tracking], verbose=0),
    ).fit()
    return [float(result.metrics["val_accuracy"]) for result in results if result.metrics]


def _lightning(trials: Trials, splits: SearchSplits, folder: Path) -> list[float]:
    """Lightning's Trainer with its MLflow logger, which logs the checkpoint."""
    import lightning
    from lightning.pytorch.loggers import MLFlowLogger

    class Module(lightning.LightningModule):
        def __init__(self, dropout: float) -> None:
            super().__init__()
            self.save_hyperparameters()
            self.network = network(dropout)

        def training_step(self, batch: list[Tensor], _index: int) -> Tensor:
            return nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def validation_step(self, batch: list[Tensor], _index: int) -> None:
            correct = (self.network(batch[0]).argmax(1) == batch[1]).float().mean()
            self.log("val_accuracy", correct)

        def configure_optimizers(self) -> Any:
            optimizer = torch.optim.Adam(self.parameters(), RATE)
            schedule = {"scheduler": falling(optimizer, trials), "interval": "step"}
            return {"optimizer": optimizer, "lr_scheduler": schedule}

    accuracies = []
    for dropout, seed in trials.points():
        lightning.seed_everything(seed, verbose=False)
        logger = MLFlowLogger("peers", tracking_uri=mlflow.get_tracking_uri(), log_model=True)
        trainer = lightning.Trainer(
            accelerator="cpu", max_epochs=trials.epochs, logger=logger, num_sanity_val_steps=0,
            default_root_dir=str(folder), enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        trainer.fit(
            Module(dropout),
            DataLoader(PillowImages(splits.train.first(trials.images)), BATCH, shuffle=True),
            DataLoader(PillowImages(splits.val), EVALUATION_BATCH),
        )
        accuracies.append(float(trainer.callback_metrics["val_accuracy"]))
    return accuracies


OURS = "fashion_hpo"
RAY = "Ray Tune + MLflow"
LIGHTNING = "Lightning + MLflow"
TUNED_BF16 = "tuned loop + MLflow, bf16"
PEERS: dict[str, Peer] = {
    OURS: _ours,
    "tuned loop + MLflow, fp32": _tuned_fp32,
    TUNED_BF16: _tuned_bf16,
    LIGHTNING: _lightning,
    RAY: _ray,
    "Optuna + MLflow": _optuna,
}
