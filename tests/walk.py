"""The README's tour as a person walks it: other programs use the store between the commands.

After each command MLflow, its UI, Optuna or a desktop add and delete something.  A command that
then cannot go on says what to type; what is typed works, and so does the command after it.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import mlflow
import mlflow.pyfunc
import mlflow.pytorch
import optuna
import pytest
import torch
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from fashion_hpo.stores.experiments import find_experiment
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import all_ledgers, connect
from fashion_hpo.stores.registry import CHAMPION, CHAMPION_URI, REGISTERED_NAME

README = Path(__file__).parents[1] / "README.md"
SMALL = ["--set", "epochs=2", "--set", "train_images=500", "--set", "architecture=lenet5"]
ADDED = {"study": SMALL, "train": ["--set", "train_images=500"]}
BENCH = {
    "search": ["--repeats", "1", "--trials", "4", "--samplers", "random"],  # trains nothing
    "trainer": ["--repeats", "1", "--images", "1280", "--epochs", "1"],  # one epoch of all images
}
REPLACED = {"architecture=optimized_cnn": "architecture=lenet5"}
"""A network that trains quickly."""
UNTIL_STOPPED = ("serve", "ui")
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini", "report.html~", "._notes")
IMAGES = torch.zeros(2, 28, 28, dtype=torch.uint8)

Type = Callable[[str, list[str]], tuple[int, str]]
"""Runs one of our commands with its arguments; its exit code and all that it printed."""


def tour(bench: str) -> list[tuple[str, list[str]]]:
    """The commands of the README's tour and their arguments; long ones are reduced.

    bench: the measurement that takes the place of `trainer`, which lasts minutes.
    """
    text = README.read_text(encoding="utf-8").partition("## A tour")[2]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    lines = [shlex.split(line, comments=True) for line in block[1].splitlines() if line.strip()]
    return [_reduced(words, bench) for words in lines]


def _reduced(words: list[str], bench: str) -> tuple[str, list[str]]:
    python, module, name, *arguments = words
    assert (python, module) == ("python", "-m")
    command = name.removeprefix("fashion_hpo.")
    if command == "bench":
        assert arguments == ["trainer"]
        return command, [bench, *BENCH[bench]]
    added = [] if "--list" in arguments else ADDED.get(command, [])
    return command, [*(REPLACED.get(word, word) for word in arguments), *added]


def walk(home: Path, type_command: Type, bench: str) -> None:
    """Type the whole tour in a folder, except the servers, which run until they are stopped."""
    for command, arguments in tour(bench):
        if command in UNTIL_STOPPED:
            continue
        place = Place(home)
        arguments = [place.a_trial() if word == "RUN_ID" else word for word in arguments]
        code, text = type_command(command, arguments)
        if code:
            _type_advice(home, type_command, text)
            code, text = type_command(command, arguments)
        assert code == 0, (command, text)
        if "--list" not in arguments and "--dry-run" not in arguments:
            AFTER.get(command, lambda place: None)(Place(home))


def _type_advice(home: Path, type_command: Type, text: str) -> None:
    """Type the first command that a refusal names."""
    (advice, *_) = re.findall(r"`([^`]+)`", text)
    words = shlex.split(advice.replace("STUDY", "dropout_ablation"))
    if words[0] == "python":
        code, text = type_command(words[2].removeprefix("fashion_hpo."), words[3:])
        assert code == 0, (advice, text)
    else:
        elsewhere = home.parent / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        subprocess.run(advice, shell=True, cwd=elsewhere, check=True, capture_output=True)
        assert list(elsewhere.iterdir()) == [], "it leaves nothing where it was typed"


class Place:
    """A folder whose store other programs use."""

    def __init__(self, home: Path) -> None:
        self.home, self.store = home, Store.at(home / "mlruns")

    @cached_property
    def client(self) -> MlflowClient:
        """MLflow's, made where it is needed: it makes the database that is not there."""
        return MlflowClient(self.store.tracking_uri, self.store.tracking_uri)

    @property
    def experiment(self) -> str:
        experiment = find_experiment(self.client, "dropout_ablation")
        assert experiment is not None
        return str(experiment.experiment_id)

    def runs(self, kind: str) -> list[str]:
        """Ids of the study's runs of a kind, `study` or `trial`."""
        of_kind = f"tags.`fashion_hpo.kind` = '{kind}'"
        return [run.info.run_id for run in self.client.search_runs([self.experiment], of_kind)]

    def a_trial(self) -> str:
        return self.runs("trial")[0]

    def openings(self) -> list[str]:
        """The lines that count how often the gate's and the test images were opened."""
        return (self.store.root / "final_images.jsonl").read_text(encoding="utf-8").splitlines()


def load_a_trials_model_and_write_to_the_ledger(place: Place) -> None:
    """MLflow registers what it loads beside the model; Optuna's dashboard enqueues and notes."""
    (model, *_) = place.client.search_logged_models([place.experiment])
    _load(place, f"models:/{model.model_id}")
    (ledger,) = all_ledgers(place.store)
    storage = connect(place.store)
    study = optuna.load_study(study_name=ledger.name, storage=storage)
    study.enqueue_trial({})
    study.add_trial(optuna.trial.create_trial(value=0.99))
    study.set_user_attr("dashboard:note", "mine")
    storage.set_study_system_attr(study._study_id, "note:1:1", "mine")


def _load(place: Place, address: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", place.store.tracking_uri)
        assert mlflow.pytorch.load_model(address)(IMAGES).shape == (2, 10)
        assert mlflow.pyfunc.load_model(address).predict(IMAGES.numpy()).shape == (2, 10)
        download_artifacts(artifact_uri=address)


def rename_and_describe(place: Place) -> None:
    """What the UI's forms write."""
    client = place.client
    client.rename_experiment(place.experiment, "Dropout (done)")
    client.set_experiment_tag(place.experiment, "mlflow.note.content", "as discussed")
    for run in (*place.runs("study"), place.a_trial()):
        client.update_run(run, name="my best")
        client.set_tag(run, "mlflow.note.content", "mine")
        client.log_metric(run, "extra", 1.0, step=7)
        client.log_param(run, "luck", 7)
        client.log_text(run, "mine", "notes.md")


def leave_litter(place: Place) -> None:
    """Desktops and editors leave files in every folder that they show."""
    for folder in [path for path in place.store.root.rglob("*") if path.is_dir()]:
        for name in LITTER:
            (folder / name).write_text("left here")


def delete_the_experiment(place: Place) -> None:
    place.client.delete_experiment(place.experiment)


def load_the_champion(place: Place) -> None:
    """As the README says, and as `mlflow artifacts download` and `mlflow models serve` do."""
    _load(place, CHAMPION_URI)
    place.client.set_registered_model_alias(REGISTERED_NAME, "shop", "1")
    place.client.update_model_version(REGISTERED_NAME, "1", "mine")


def take_the_alias_away(place: Place) -> None:
    place.client.delete_registered_model_alias(REGISTERED_NAME, CHAMPION)


def delete_and_restore_a_run(place: Place) -> None:
    run = place.a_trial()
    place.client.delete_run(run)
    place.client.restore_run(run)


def collect_garbage(place: Place) -> None:
    """In a process of its own: MLflow's commands leave their addresses in the environment."""
    uri = place.store.tracking_uri
    gc = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", uri, "--tracking-uri", uri]
    subprocess.run(gc, check=True, capture_output=True)


def delete_a_trials_run(place: Place) -> None:
    place.client.delete_run(place.a_trial())


AFTER: dict[str, Callable[[Place], None]] = {
    "study": load_a_trials_model_and_write_to_the_ledger,
    "status": rename_and_describe,
    "doctor": leave_litter,
    "report": delete_the_experiment,
    "register": load_the_champion,
    "replay": take_the_alias_away,
    "predict": delete_and_restore_a_run,
    "train": collect_garbage,
    "bench": delete_a_trials_run,
}


def the_study_is_as_it_was(home: Path, type_command: Type) -> None:
    """Nothing is trained again, nothing opened again, nothing wrong; and one champion."""
    place = Place(home)
    study = ["dropout_ablation", "--budget", "quick", *SMALL]
    for command, arguments in (
        ("study", study),
        ("register", ["dropout_ablation"]),
        ("doctor", []),
    ):
        code, text = type_command(command, arguments)
        assert code == 0, (command, text)
        assert "to go" not in text
    assert (len(place.runs("study")), len(place.runs("trial"))) == (1, 6)
    assert len(place.openings()) == 1
    (version,) = place.client.search_model_versions(f"name = '{REGISTERED_NAME}'")
    champion = place.client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION)
    assert champion.version == version.version


def a_read_only_copy_can_be_looked_at(home: Path, type_command: Type) -> None:
    """By its owner, who is not root; root writes wherever it likes."""
    copy = home / "read-only copy"
    shutil.copytree(home / "mlruns", copy)
    paths = [copy, *copy.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        for command in ("status dropout_ablation", "report dropout_ablation", "predict picture.png",
                        "claims", "doctor"):  # fmt: skip
            name, *arguments = command.split()
            code, text = type_command(name, [*arguments, "--store", copy.name])
            assert code == 0, (command, text)
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)
