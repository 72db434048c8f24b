"""The README's tour on the real data, in its order, the long commands reduced."""

import contextlib
import importlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from PIL import Image

from fashion_hpo.design.config import EPOCH_METRICS, field_names
from fashion_hpo.training.data import SearchSplits
from tests.walk import Place, the_study_is_as_it_was, walk


def type_here(command: str, arguments: list[str]) -> tuple[int, str]:
    """Run a command in this process: its exit code and all that it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code: int = importlib.import_module(f"fashion_hpo.{command}").main(arguments)
    return code, printed.getvalue()


@pytest.fixture(scope="module")
def home(real_splits: SearchSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newcomer's folder, with a picture in it."""
    folder = tmp_path_factory.mktemp("home")
    Image.fromarray(real_splits.val.images[0].numpy()).save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def toured(home: Path) -> Path:
    """The folder after the whole tour, but for what runs until it is stopped."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        walk(home, type_here, with_others=True)
        the_study_is_as_it_was(home, type_here)
    left = ["augmentations.html", "mlruns", "picture.png"]
    assert sorted(path.name for path in home.iterdir()) == left
    return home


def client(home: Path) -> MlflowClient:
    uri = f"sqlite:///{home}/mlruns/mlflow.db"
    return MlflowClient(uri, uri)


def test_mlflow_has_one_study_run_and_every_trial_finished_under_it(toured: Path) -> None:
    mlflow, experiment = client(toured), Place(toured).experiment
    runs = mlflow.search_runs([experiment])
    (study,) = [run for run in runs if run.data.tags["fashion_hpo.kind"] == "study"]
    trials = [run for run in runs if run.data.tags["fashion_hpo.kind"] == "trial"]
    assert len(trials) == 6
    assert study.info.status == "FINISHED"
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {study.info.run_id}
    files = {file.path for file in mlflow.list_artifacts(study.info.run_id, "report")}
    assert "report/report.html" in files
    for trial in trials:
        assert trial.info.status == "FINISHED"
        assert set(trial.data.params) - {"luck"} == set(field_names())
        for metric in EPOCH_METRICS:
            points = mlflow.get_metric_history(trial.info.run_id, metric)
            assert sorted(point.step for point in points) == [1, 2], metric
    models = mlflow.search_logged_models([experiment])
    assert {model.source_run_id for model in models} == {run.info.run_id for run in trials}


def test_the_page_loads_nothing_from_elsewhere(toured: Path) -> None:
    (page,) = (toured / "mlruns" / "reports" / "dropout_ablation").rglob("report.html")
    text = page.read_text(encoding="utf-8")
    body = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"<(link|img|iframe|script)[^>]+(src|href)\s*=\s*['\"]https?:", text)
    # Links that a person may follow, to MLflow's pages on this machine.
    of_trials = r'<a href="http://127\.0\.0\.1:5000/#/experiments/1/runs/'
    assert len(re.findall(of_trials, body)) >= 4
    assert "http" not in re.sub(rf"<meta[^>]*>|{of_trials}", "", body)
    assert "it is no evidence" in body, "the walk has changed the quick budget"
    assert (page.parent / "trials.csv").exists()


def test_the_test_set_was_opened_once_and_by_register(toured: Path) -> None:
    (opening,) = map(json.loads, Place(toured).openings())
    assert opening["purpose"] == "register dropout_ablation/quick/r1"


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
