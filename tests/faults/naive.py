"""The control: the loop that Optuna's and MLflow's examples show, under the same faults."""

import os
import signal
from pathlib import Path

import mlflow
import optuna

GRID = {"dropout": [0.0, 0.5], "seed": list(range(9))}  # 18 points


def study(root: Path, kill_in_trial: int | None = None, fail_in_trial: int | None = None) -> None:
    """`optimize` over a grid, a parent run, and a nested run in each trial."""
    mlflow.set_tracking_uri(f"sqlite:///{root / 'mlflow.db'}")
    if mlflow.get_experiment_by_name("naive") is None:
        mlflow.create_experiment("naive", artifact_location=str(root / "artifacts"))
    mlflow.set_experiment("naive")

    def objective(trial: optuna.Trial) -> float:
        with mlflow.start_run(nested=True):
            dropout = trial.suggest_categorical("dropout", GRID["dropout"])
            seed = trial.suggest_categorical("seed", GRID["seed"])
            for epoch in range(3):
                mlflow.log_metric("val_loss", 1.0 / (epoch + 1), epoch)
            if trial.number == kill_in_trial:
                os.kill(os.getpid(), signal.SIGKILL)
            if trial.number == fail_in_trial:
                raise RuntimeError("out of memory, this once")
            mlflow.log_text("weights", "model.txt")
            return float(dropout) + float(seed)

    made = optuna.create_study(
        storage=f"sqlite:///{root / 'optuna.db'}",
        study_name="naive",
        sampler=optuna.samplers.GridSampler(GRID, seed=0),
        load_if_exists=True,
    )
    with mlflow.start_run():
        made.optimize(objective, catch=(RuntimeError,))


def trials(root: Path) -> list[optuna.trial.FrozenTrial]:
    """What Optuna has of it."""
    storage = f"sqlite:///{root / 'optuna.db'}"
    return optuna.load_study(study_name="naive", storage=storage).trials


def running(root: Path) -> int:
    """MLflow's runs that are RUNNING."""
    uri = f"sqlite:///{root / 'mlflow.db'}"
    client = mlflow.MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name("naive")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return sum(run.info.status == "RUNNING" for run in runs)
