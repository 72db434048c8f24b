"""MLflow's pages of our stores, walked in a browser as a person would."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from fashion_hpo.running.mirror import Mirror
from fashion_hpo.running.publish import publish
from fashion_hpo.stores.registry import REGISTERED_NAME
from tests.browser import needs_browser, text_of
from tests.commands.test_ui import free_port
from tests.finished import Finished, finished

pytestmark = needs_browser


class Pages(NamedTuple):
    """A finished store, and what `ui` printed about it."""

    done: Finished
    address: str
    newest: str

    def text(self, page: str, name: str) -> str:
        return text_of(f"{self.address}/#/{page}?workflowType=machine_learning", name)

    @property
    def experiment(self) -> str:
        return f"experiments/{self.done.tracker.experiment_id}"


@pytest.fixture(scope="module")
def pages(finished_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    done = finished(finished_store, tmp_path_factory.mktemp("pages") / "store")
    assert publish(Mirror(done.store, done.ledger, done.tracker)).mirrored
    command = [sys.executable, "-m", "fashion_hpo.ui", "--store", str(done.store.root)]
    command += ["--port", str(port := free_port())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            lines = iter(server.stdout.readline, "")
            newest = next(filter(None, (re.search(r"^the newest: +(.*)", line) for line in lines)))
            yield Pages(done, f"http://127.0.0.1:{port}", newest[1])
        finally:
            server.terminate()


def test_the_printed_page_shows_the_runs_of_the_newest_study(pages: Pages) -> None:
    text = text_of(pages.newest, "runs")
    assert "tiny_search/standard/r1" in text
    assert "matching runs" in text
    assert "Evaluation runs" not in text, "MLflow's GenAI pages"


def test_the_page_of_a_study_begins_with_its_answer(pages: Pages) -> None:
    run = pages.done.tracker.run_of(pages.done.ledger.uid)
    text = pages.text(f"{pages.experiment}/runs/{run}", "study")
    answer, _, rest = text.partition("About this run")
    assert "Does it run?" in answer
    assert "report/report.html" in answer
    assert "complete_trials 4" in answer
    assert "best_mean 0." in answer
    assert "dropout=0.5 seed 1" in rest


def test_models_are_told_apart_by_level_and_seed_and_have_metrics(pages: Pages) -> None:
    text = pages.text(f"{pages.experiment}/models", "models")
    for level in ("0", "0·5"):
        for seed in range(2):
            assert f"tiny dropout={level} seed {seed} Ready" in text
    text = pages.text(f"{pages.experiment}/models/{pages.done.model_id()}", "model")
    assert "model_val_accuracy fashion-mnist" in text


def test_a_trial_has_its_classes_by_name(pages: Pages) -> None:
    text = pages.text(f"{pages.experiment}/runs/{pages.done.run_id()}", "trial")
    assert "class/Ankle_boot_recall" in text
    assert "Parameters (" in text


def test_the_registered_model_says_what_goes_in_and_comes_out(pages: Pages) -> None:
    text = pages.text(f"models/{REGISTERED_NAME}", "registered")
    assert "Input : raw uint8 images, shape (N, 28, 28)" in text
    assert "@ champion" in text
