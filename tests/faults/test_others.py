"""Other programs and people use a store as well: MLflow, its UI, Optuna, desktops.

What they add changes nothing.  What they delete is named, and comes back by what is typed next.
"""

import importlib
import json
import os
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import closing
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
from mlflow.entities import Run, ViewType
from PIL import Image

from fashion_hpo.stores.experiments import STUDY, find_experiment
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger
from fashion_hpo.stores.opening import all_ledgers, connect
from fashion_hpo.stores.registry import (
    CHAMPION,
    CHAMPION_URI,
    MANIFEST,
    PREVIOUS,
    REGISTERED_NAME,
)
from tests.commands.test_register import Home, folder, home  # noqa: F401
from tests.faults.lab import Lab, wait_until
from tests.folders import content

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
            code, printed = self.type(command.replace("STUDY", "learns"))
            assert code == 0, printed
            return printed
        place = self.home.root / "elsewhere"
        place.mkdir(exist_ok=True)
        done = subprocess.run(command, shell=True, cwd=place, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert list(place.iterdir()) == [], "it leaves nothing where it was typed"
        return done.stdout

    def follow(self, command: str, steps: int = 4) -> None:
        """Type a command, then what it tells to type, until a command ends with 0."""
        for _ in range(steps):
            code, text = self.type(command)
            if code == 0:
                return
            (command, *_) = re.findall(r"`(python -m fashion_hpo[^`]+)`", text)
        raise AssertionError(text)

    def all_works(self) -> None:
        """Each command does what it says, and nothing is wrong in the end."""
        for command in ("study learns", "register learns", "predict picture.png", "doctor learns"):
            code, text = self.type(command)
            assert code == 0, text

    def all_is_mended(self) -> None:
        """The same, by what each command tells to type where it cannot do what it says."""
        for command in ("study learns", "report learns", "register learns", "predict picture.png"):
            self.follow(command)
        self.follow("doctor learns")
        assert self.type("doctor learns")[0] == 0

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


def add_runs_and_versions(person: Person, study_run: str) -> None:
    """Of a person's own: an experiment, runs in ours and below ours, a copy of the champion."""
    client = person.client
    mine = client.create_experiment("mine")
    for place, tags in ((mine, {}), (person.experiment, {"mlflow.parentRunId": study_run})):
        run = client.create_run(place, tags=tags)
        client.log_param(run.info.run_id, "dropout", 0.9)
        client.log_metric(run.info.run_id, "val_accuracy", 0.99)
        client.set_terminated(run.info.run_id)
    client.copy_model_version(f"models:/{REGISTERED_NAME}/1", "for the shop")
    client.set_logged_model_tags(person.champions_model, {"reviewed": "yes"})
    client.set_registered_model_tag(REGISTERED_NAME, "team", "shop")
    client.set_model_version_tag(REGISTERED_NAME, "1", "reviewed", "yes")


def write_with_optunas_dashboard(person: Person) -> None:
    study, storage = person.study, connect(person.store)
    study.enqueue_trial({})
    study.enqueue_trial({"learning_rate": 0.5})
    study.add_trial(optuna.trial.create_trial(value=0.99))
    study.set_user_attr("dashboard:note", "mine")
    storage.set_study_system_attr(study._study_id, "note:1:1", "mine")
    storage.set_trial_user_attr(study.ask()._trial_id, "artifacts:mine", "a picture")
    optuna.create_study(study_name="mine", storage=storage).add_trial(
        optuna.trial.create_trial(value=1.0)
    )


def delete_and_restore(person: Person) -> None:
    client = person.client
    client.delete_run(person.champions_run)
    (deleted,) = client.search_runs([person.experiment], run_view_type=ViewType.DELETED_ONLY)
    client.restore_run(deleted.info.run_id)
    client.delete_experiment(person.experiment)
    client.restore_experiment(person.experiment)


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
    add_runs_and_versions(person, study_run)
    write_with_optunas_dashboard(person)
    delete_and_restore(person)
    lab.inject("another program's additions", 26)
    lab.inject("a trial written by Optuna's tools", 6)
    lab.inject("deleted and restored in MLflow", 2)
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
    "the champion's version": lambda p: p.client.delete_model_version(
        REGISTERED_NAME, p.client.get_model_version_by_alias(REGISTERED_NAME, CHAMPION).version
    ),
    "the registered model": lambda p: p.client.delete_registered_model(REGISTERED_NAME),
    "the champion's alias": lambda p: p.client.delete_registered_model_alias(
        REGISTERED_NAME, CHAMPION
    ),
    "the registered model's name": lambda p: p.client.rename_registered_model(
        REGISTERED_NAME, "mine"
    ),
}


def test_what_was_deleted_comes_back(lab: Lab, person: Person) -> None:
    for what, harm in HARMS.items():
        harm(person)
        lab.inject(f"{what} deleted in MLflow")
        code, text = person.type("predict picture.png")
        assert code in (0, 2), text
        if code:
            person.type_advice(text)
        person.all_works()
        assert person.home.openings() == ["test"], f"{what}: the test set is not opened again"


def crown_by_hand(person: Person) -> None:
    """Register another trial's model in MLflow's UI, and make it champion there."""
    models = person.client.search_logged_models([person.experiment])
    other = next(each for each in models if each.model_id != person.champions_model)
    monkey = pytest.MonkeyPatch()
    monkey.setenv("MLFLOW_TRACKING_URI", person.store.tracking_uri)
    made = person.client.create_model_version(REGISTERED_NAME, other.artifact_location)
    monkey.undo()
    person.client.set_registered_model_alias(REGISTERED_NAME, CHAMPION, made.version)


def forget(person: Person, *tags: str) -> None:
    """Delete tags of ours in MLflow's UI, wherever they are."""
    client, version = person.client, person.client.get_model_version(REGISTERED_NAME, "1")
    run = person.run(person.champion.attempt.uid)
    study_run = person.run(person.ledger.uid)
    for tag in tags:
        for each in (run, study_run):
            if tag in each.data.tags:
                client.delete_tag(each.info.run_id, tag)
        if tag in version.tags:
            client.delete_model_version_tag(REGISTERED_NAME, "1", tag)
    client.delete_experiment_tag(person.experiment, STUDY)


BY_HAND: dict[str, Harm] = {
    "another champion": crown_by_hand,
    "an alias of ours": lambda p: p.client.set_registered_model_alias(
        REGISTERED_NAME, PREVIOUS, "1"
    ),
    "a run's status": lambda p: p.client.set_terminated(p.champions_run, "FAILED"),
    "tags": lambda p: forget(p, "mlflow.note.content", "fashion_hpo.kind", MANIFEST),
    "a run's uid": lambda p: p.client.delete_tag(p.champions_run, "fashion_hpo.uid"),
}


def test_what_was_changed_by_hand_is_mended_by_what_is_typed(lab: Lab, person: Person) -> None:
    for what, change in BY_HAND.items():
        change(person)
        lab.inject(f"{what} changed in MLflow")
        person.all_is_mended()
    assert person.home.openings()[0] == "test"
    assert person.home.openings().count("test") == 1, "the test set is not opened again for it"


def test_a_ledger_deleted_by_optunas_tools_is_trained_again(lab: Lab, person: Person) -> None:
    optuna.delete_study(study_name=person.ledger.name, storage=connect(person.store))
    lab.inject("a ledger deleted by Optuna's tools")
    code, text = person.type("register learns")
    assert code == 2
    person.type_advice(text)
    person.all_is_mended()
    person.follow("doctor")


def test_the_champion_is_served_by_mlflow(lab: Lab, person: Person) -> None:
    """`mlflow models serve`, as another program asks it; the store is as it was."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", CHAMPION_URI,
               "--env-manager", "local", "-h", "127.0.0.1", "-p", str(port)]  # fmt: skip
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # uvicorn
    own = {"MLFLOW_TRACKING_URI": person.store.tracking_uri, "PATH": programs}
    server = subprocess.Popen(command, env={**os.environ, **own}, start_new_session=True)
    try:
        wait_until(lambda: answers(port), 120)
        body = json.dumps({"instances": IMAGES.tolist()}).encode()
        found = json.loads(ask(port, "invocations", body))
        assert np.shape(found["predictions"]) == (2, 10)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    lab.inject("served by mlflow models serve")
    person.all_works()


def ask(port: int, page: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/{page}", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return bytes(reply.read())


def answers(port: int) -> bool:
    try:
        return ask(port, "ping") is not None
    except OSError:
        return False


def gc(person: Person) -> None:
    uri = person.store.tracking_uri
    with pytest.MonkeyPatch.context() as patch:  # MLflow's command sets it for good
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        done = CliRunner().invoke(cli, ["gc", "--backend-store-uri", uri, "--tracking-uri", uri])
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # unsets it
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


def test_an_experiment_that_is_gone_for_good_is_made_again(lab: Lab, person: Person) -> None:
    person.client.delete_experiment(person.experiment)
    gc(person)
    lab.inject("an experiment removed by mlflow gc")
    assert person.type("study learns")[0] == 0
    for command in ("report learns", "register learns", "predict picture.png"):
        person.follow(command)
    assert "files" in person.type("doctor learns --fix")[1], "what went with it is named"


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
    stray = moved.root / "checkpoints" / "0123456789ab" / "stray.pt"
    stray.parent.mkdir(parents=True)
    stray.write_text("of no ledger")
    with closing(sqlite3.connect(moved.root / "optuna.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the next reader may do that
    before = content(moved.root, "-wal", "-shm", "lock")
    code, text = person.type("doctor --store 'moved there'")
    lab.inject("a moved store")
    assert code == 1
    assert "addresses outside" in text
    assert "checkpoints/0123456789ab is of no ledger" in text
    assert content(moved.root, "-wal", "-shm", "lock") == before
    person.type_advice(text)
    assert not stray.exists()
    assert person.type("doctor --store 'moved there'")[0] == 0
