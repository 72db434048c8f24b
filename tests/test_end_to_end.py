"""The README's tour on the real data, in its order, the long commands reduced."""

import importlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from fashion_hpo.design.config import EPOCH_METRICS, field_names
from fashion_hpo.training.data import SearchSplits

README = Path(__file__).parents[1] / "README.md"
SMALL = ["--set", "epochs=2", "--set", "train_images=2000", "--set", "architecture=simple_cnn"]
REDUCED = {
    "study": SMALL,
    "train": ["--set", "train_images=1000"],
    "bench": ["--repeats", "1", "--images", "1280", "--epochs", "1"],
}
UNTIL_STOPPED = ("fashion_hpo.ui", "fashion_hpo.serve")  # they have tests of their own
SERVED_WITHIN_SECONDS = 60


def tour() -> list[list[str]]:
    """The commands of the README's tour, without its comments."""
    text = README.read_text(encoding="utf-8").partition("## A tour")[2]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True) for line in block[1].splitlines() if line.strip()]


def run(command: list[str]) -> int:
    """One line of the tour, reduced, in this process."""
    python, module, name, *arguments = command
    assert (python, module) == ("python", "-m")
    short = name.removeprefix("fashion_hpo.")
    reduced = [] if "--list" in arguments else REDUCED.get(short, [])
    arguments = [a_trial(Path.cwd()) if word == "RUN_ID" else word for word in arguments]
    code: int = importlib.import_module(name).main([*arguments, *reduced])
    return code


@pytest.fixture(scope="module")
def home(real_splits: SearchSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newcomer's folder, with a picture in it."""
    folder = tmp_path_factory.mktemp("home")
    Image.fromarray(real_splits.val.images[0].numpy()).save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def toured(home: Path) -> Path:
    """The folder after the whole tour, but for what runs until it is stopped."""
    before = Path.cwd()
    os.chdir(home)
    try:
        for command in tour():
            if command[2] not in UNTIL_STOPPED:
                assert run(command) == 0, command
    finally:
        os.chdir(before)
    made = ["augmentations.html", "mlruns", "picture.png"]
    assert sorted(path.name for path in home.iterdir()) == made
    return home


def a_trial(home: Path) -> str:
    """The run id of one of the study's trials."""
    wanted = "tags.`fashion_hpo.kind` = 'trial'"
    return str(client(home).search_runs(["1"], wanted)[0].info.run_id)


def client(home: Path) -> MlflowClient:
    uri = f"sqlite:///{home}/mlruns/mlflow.db"
    return MlflowClient(uri, uri)


def test_mlflow_has_one_study_run_and_every_trial_finished_under_it(toured: Path) -> None:
    mlflow = client(toured)
    experiment = mlflow.get_experiment_by_name("dropout_ablation")
    assert experiment is not None
    runs = mlflow.search_runs([experiment.experiment_id])
    (study,) = [run for run in runs if run.data.tags["fashion_hpo.kind"] == "study"]
    trials = [run for run in runs if run.data.tags["fashion_hpo.kind"] == "trial"]
    assert len(trials) == 4
    assert study.info.status == "FINISHED"
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {study.info.run_id}
    files = {file.path for file in mlflow.list_artifacts(study.info.run_id, "report")}
    assert "report/report.html" in files
    for trial in trials:
        assert trial.info.status == "FINISHED"
        assert set(trial.data.params) == set(field_names())
        for metric in EPOCH_METRICS:
            points = mlflow.get_metric_history(trial.info.run_id, metric)
            assert sorted(point.step for point in points) == [1, 2], metric
    models = mlflow.search_logged_models([experiment.experiment_id])
    assert {model.source_run_id for model in models} == {run.info.run_id for run in trials}


def test_the_page_loads_nothing_from_elsewhere(toured: Path) -> None:
    (page,) = (toured / "mlruns" / "reports" / "dropout_ablation").rglob("report.html")
    text = page.read_text(encoding="utf-8")
    body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(link|img|iframe|script)[^>]+(src|href)\s*=\s*['\"]https?:", text)
    assert "http" not in re.sub(r"<meta[^>]*>", "", body)
    assert "it is no evidence" in body
    assert (page.parent / "trials.csv").exists()


def test_the_test_set_was_opened_once_and_by_register(toured: Path) -> None:
    log = (toured / "mlruns" / "final_images.jsonl").read_text().splitlines()
    (opening,) = map(json.loads, log)
    assert opening["purpose"] == "register dropout_ablation/quick/r1"


def test_registering_again_opens_nothing(toured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(toured)
    assert run(["python", "-m", "fashion_hpo.register", "dropout_ablation"]) == 0
    assert len((toured / "mlruns" / "final_images.jsonl").read_text().splitlines()) == 1
    assert len(client(toured).search_model_versions("name = 'fashion-mnist-classifier'")) == 1


def test_running_again_trains_nothing(
    toured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(toured)
    command = "python -m fashion_hpo.study dropout_ablation --budget quick"
    assert run(shlex.split(command)) == 0
    assert "to go" not in capsys.readouterr().out
    assert len(client(toured).search_runs(["1"])) == 5


def test_any_mlflow_user_can_load_the_champion(toured: Path) -> None:
    """In a fresh process, without this package's help, unpickling refused."""
    code = (
        "import mlflow.pytorch, torch\n"
        "mlflow.set_tracking_uri('sqlite:///mlruns/mlflow.db')\n"
        "model = mlflow.pytorch.load_model('models:/fashion-mnist-classifier@champion')\n"
        "for batch in (1, 7, 512):\n"
        "    images = torch.randint(0, 256, (batch, 28, 28), dtype=torch.uint8)\n"
        "    first, second = model(images), model(images)\n"
        "    assert first.shape == (batch, 10) and torch.equal(first, second)\n"
        "    assert torch.allclose(first.sum(1), torch.ones(batch), atol=1e-5)\n"
    )
    environment = {**os.environ, "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    subprocess.run([sys.executable, "-c", code], cwd=toured, env=environment, check=True)


def test_the_ui_serves_the_store_on_loopback(toured: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "fashion_hpo.ui", "--port", str(port)]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command, cwd=toured, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert address in server.stdout.readline()
            found = wait_for(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=1")
            assert found["experiment"]["name"] == "dropout_ablation"
        finally:
            server.terminate()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server outlived its command"


def wait_for(address: str) -> dict[str, dict[str, str]]:
    """The reply, once the server gives one."""
    deadline = time.monotonic() + SERVED_WITHIN_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5) as reply:
                found: dict[str, dict[str, str]] = json.load(reply)
                return found
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, f"no reply from {address}"
            time.sleep(0.2)
