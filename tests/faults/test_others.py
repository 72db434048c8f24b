"""Other programs and people use a store as well: MLflow, its UI, Optuna, desktops.

What they add changes nothing.  What they delete is named, and comes back by what is typed next.
"""

import importlib
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import mlflow
import mlflow.pyfunc
import mlflow.pytorch
import numpy as np
import optuna
import pytest
import torch
from click.testing import CliRunner
from mlflow.artifacts import download_artifacts
from mlflow.cli import cli
from mlflow.entities import Run
from PIL import Image

from fashion_hpo.stores.experiments import find_experiment
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger
from fashion_hpo.stores.opening import all_ledgers, connect
from fashion_hpo.stores.registry import CHAMPION, CHAMPION_URI, REGISTERED_NAME
from tests.commands.test_register import Home, folder, home  # noqa: F401
from tests.faults.lab import Lab

IMAGES = torch.zeros(2, 28, 28, dtype=torch.uint8)
LITTER = (".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt~", "._notes", "notes.txt")


class Person:
    """Types commands in a folder where `learns` is done and registered, and uses other tools."""

    def __init__(self, place: Home, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.store, self.client = place, place.store, place.client
        self._capsys = capsys
        Image.fromarray(np.zeros((28, 28), np.uint8)).save(place.root / "picture.png")
        assert self.type("register learns")[0] == 0

    def type(self, command: str) -> tuple[int, str]:
        """Run one of our commands; exit code and all that it printed."""
        name, *arguments = shlex.split(command.removeprefix("python -m fashion_hpo."))
        if name in ("study", "register"):
            arguments += ["--data", str(self.home.root), "--device", "cpu"]
        self._capsys.readouterr()
        code: int = importlib.import_module(f"fashion_hpo.{name}").main(arguments)
        return code, "".join(self._capsys.readouterr())

    def type_advice(self, text: str) -> str:
        """Type the first command that a text tells to type; what that printed."""
        (command, *_) = re.findall(r"`([^`]+)`", text)
        if "fashion_hpo." in command:
            return self.type(command.replace("STUDY", "learns"))[1]
        place = self.home.root / "elsewhere"
        place.mkdir(exist_ok=True)
        done = subprocess.run(command, shell=True, cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert list(place.iterdir()) == [], "it leaves nothing where it was typed"
        return done.stdout

    def all_works(self) -> None:
        """Each command does what it says, and nothing is wrong in the end."""
        for command in ("study learns", "register learns", "predict picture.png", "doctor learns"):
            code, text = self.type(command)
            assert code == 0, text

    @property
    def ledger(self) -> Ledger:
        return next(each for each in all_ledgers(self.store) if each.plan.name == "learns")

    @property
    def study(self) -> optuna.Study:
        """As Optuna's own tools open it."""
        return optuna.load_study(study_name=self.ledger.name, storage=connect(self.store))

    @property
    def champion(self) -> Entry:
        version = self.client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION)
        uid = version.tags["fashion_hpo.uid"]
        return next(e for e in self.ledger.entries() if e.attempt.uid == uid)

    @property
    def experiment(self) -> str:
        found = find_experiment(self.client, "learns")
        assert found is not None
        return str(found.experiment_id)

    def run(self, uid: str) -> Run:
        (run,) = self.client.search_runs([self.experiment], f"tags.`fashion_hpo.uid` = '{uid}'")
        return run

    @property
    def champions_run(self) -> str:
        return str(self.run(self.champion.attempt.uid).info.run_id)

    @property
    def champions_model(self) -> str:
        version = self.client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION)
        return str(version.source).removeprefix("models:/")


@pytest.fixture
def person(home: Home, capsys: pytest.CaptureFixture[str]) -> Person:  # noqa: F811
    return Person(home, capsys)


def load_with_mlflow(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """The champion and a trial's model, as MLflow's pages say, and as `mlflow models serve`."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", person.store.tracking_uri)
    trial = f"models:/{person.champions_model}"
    for address in (CHAMPION_URI, trial, f"models:/{REGISTERED_NAME}/1"):
        assert mlflow.pytorch.load_model(address)(IMAGES).shape == (2, 10)
    assert mlflow.pyfunc.load_model(CHAMPION_URI).predict(IMAGES.numpy()).shape == (2, 10)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")


def test_what_others_add_changes_nothing(
    lab: Lab, person: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_with_mlflow(person, monkeypatch)
    client, run = person.client, person.champions_run
    study_run = str(person.run(person.ledger.uid).info.run_id)
    model = client.get_logged_model(person.champions_model).artifact_location
    download_artifacts(artifact_uri=model, tracking_uri=person.store.tracking_uri)
    folders = [Path(model), *(path.parent for path in person.store.artifacts.rglob("*.csv"))]
    (person.store.root / "checkpoints" / person.ledger.uid).mkdir(parents=True, exist_ok=True)
    folders += [path for path in person.store.root.iterdir() if path.is_dir()]
    folders += [person.store.root / "checkpoints" / person.ledger.uid, person.home.root / "studies"]
    for place in folders:
        for name in LITTER:
            (place / name).write_text("left here")
        (place / "untitled folder").mkdir(exist_ok=True)
    client.rename_experiment(person.experiment, "Which rate? (done)")
    client.set_experiment_tag(person.experiment, "mlflow.note.content", "as discussed")
    for run_id in (run, study_run):
        client.update_run(run_id, name="my best")
        client.set_tag(run_id, "mlflow.note.content", "mine")
        client.set_tag(run_id, "reviewed", "yes")
        client.log_metric(run_id, "extra", 1.0, step=7)
        client.log_param(run_id, "luck", 7)
        client.log_text(run_id, "mine", "notes.md")
    client.update_registered_model(REGISTERED_NAME, "for the shop")
    client.update_model_version(REGISTERED_NAME, "1", "mine")
    client.set_registered_model_alias(REGISTERED_NAME, "shop", "1")
    study = person.study
    study.enqueue_trial({})
    study.add_trial(optuna.trial.create_trial(value=0.99))
    study.set_user_attr("dashboard:note", "mine")
    connect(person.store).set_study_system_attr(study._study_id, "note:1:1", "mine")
    lab.inject("another program's additions", 20)
    assert person.type("study learns")[0] == 0
    before = person.run(person.ledger.uid).info.end_time
    assert person.type("report learns")[0] == 0
    person.all_works()
    assert person.run(person.ledger.uid).info.end_time == before, "a study that has ended has ended"
    assert person.home.openings() == ["test"], "nothing is opened again"
    assert person.home.versions() == 1


Harm = Callable[[Person], object]
HARMS: dict[str, Harm] = {
    "the champion's run": lambda p: p.client.delete_run(p.champions_run),
    "the study run": lambda p: p.client.delete_run(p.run(p.ledger.uid).info.run_id),
    "the champion's model": lambda p: p.client.delete_logged_model(p.champions_model),
    "the champion's version": lambda p: p.client.delete_model_version(REGISTERED_NAME, "1"),
    "the registered model": lambda p: p.client.delete_registered_model(REGISTERED_NAME),
    "the champion's alias": lambda p: p.client.delete_registered_model_alias(
        REGISTERED_NAME, CHAMPION
    ),
    "the registered model's name": lambda p: p.client.rename_registered_model(
        REGISTERED_NAME, "mine"
    ),
}


@pytest.mark.parametrize("what", HARMS)
def test_what_was_deleted_comes_back(lab: Lab, person: Person, what: str) -> None:
    HARMS[what](person)
    lab.inject(f"{what} deleted in MLflow")
    code, text = person.type("predict picture.png")
    assert code in (0, 2), text
    if code:
        person.type_advice(text)
    person.all_works()
    assert person.home.openings() == ["test"], "the test set is not opened again for it"


def gc(person: Person) -> None:
    uri = person.store.tracking_uri
    done = CliRunner().invoke(cli, ["gc", "--backend-store-uri", uri, "--tracking-uri", uri])
    assert done.exit_code == 0, done.output


def test_a_run_that_is_gone_for_good_is_made_again(lab: Lab, person: Person) -> None:
    person.client.delete_run(person.champions_run)
    gc(person)
    lab.inject("a run removed by mlflow gc")
    for command in ("study learns", "register learns", "predict picture.png"):
        code, text = person.type(command)
        assert code == 0, text
    assert "files" in person.type("doctor --fix")[1], "what went with it is named"


def test_a_model_that_is_gone_for_good_can_be_trained_again(lab: Lab, person: Person) -> None:
    person.client.delete_logged_model(person.champions_model)
    gc(person)
    lab.inject("a model removed by mlflow gc")
    code, text = person.type("study learns")
    assert code == 0, text
    assert "is gone: its files are not in the store" in text
    code, text = person.type("register learns")
    assert code == 2
    text = person.type_advice(text)
    assert "version 2 is champion" in text, text
    assert person.type("predict picture.png")[0] == 0


@pytest.mark.parametrize("typed", ["mlflow", "doctor"])
def test_a_deleted_experiment_is_restored_by_what_is_typed(
    lab: Lab, person: Person, typed: str
) -> None:
    person.client.rename_experiment(person.experiment, "mine")
    person.client.delete_experiment(person.experiment)
    lab.inject("an experiment deleted in MLflow")
    for command in ("study learns", "report learns", "register learns"):
        code, told = person.type(command)
        assert code == 2, told
    assert person.type("predict picture.png")[0] == 0
    code, text = person.type("doctor")
    assert code == 1, text
    assert "had its experiment deleted in MLflow" in text
    person.type_advice(told if typed == "mlflow" else text)
    person.all_works()


def test_doctor_only_tells_of_a_moved_store_until_it_is_to_fix_it(lab: Lab, person: Person) -> None:
    moved = Store.at(person.store.root.rename(person.home.root / "moved there"))
    before = (moved.root / "mlflow.db").read_bytes()
    code, text = person.type("doctor --store 'moved there'")
    lab.inject("a moved store")
    assert code == 1
    assert "addresses outside" in text
    assert (moved.root / "mlflow.db").read_bytes() == before
    person.type_advice(text)
    assert person.type("doctor --store 'moved there'")[0] == 0
