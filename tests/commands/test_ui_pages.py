"""MLflow's pages of our stores, walked in a browser as a person would."""

import re
import shlex
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import NamedTuple

import pytest

from fashion_hpo.running.mirror import Mirror
from fashion_hpo.running.publish import publish
from fashion_hpo.stores.registry import REGISTERED_NAME
from tests.browser import needs_browser, tab, text_of
from tests.finished import Finished, finished
from tests.pictures import of_study, served, study_run, write

pytestmark = needs_browser


class Pages(NamedTuple):
    """A finished store, its report, and what `ui` printed about it."""

    done: Finished
    report: str
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
    where = f" --store {shlex.quote(str(done.store.root))}"
    published = publish(Mirror(done.store, done.ledger, done.tracker), where=where)
    assert published.mirrored
    report = published.page.read_text(encoding="utf-8")
    (told,) = re.findall(r"<code>(python -m fashion_hpo\.ui.*?)</code>", report)
    arguments = shlex.split(unescape(told))[3:]
    with served(arguments) as newest:
        yield Pages(done, report, newest.partition("/#")[0], newest)


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


def test_the_picture_of_the_docs_shows_the_whole_answer(pages: Pages, tmp_path: Path) -> None:
    with tab() as page:
        study_run(page, f"{pages.address}/{of_study(pages.done.tracker, pages.done.ledger)}")
        assert "Its command:" in page.value("document.body.innerText")
        write(page.pixels(), tmp_path / "study.png")
    assert 5_000 < (tmp_path / "study.png").stat().st_size < 200_000


def test_the_report_leads_to_a_trials_run_and_the_run_back(pages: Pages) -> None:
    (link,) = re.findall(r'<a href="http://127\.0\.0\.1:5000(/#[^"]+)"[^>]*>1</a>', pages.report)
    with tab() as page:
        page.open(f"{pages.address}{link}")
        page.wait("document.body.innerText.includes('dropout=0.5 seed 0')")
        assert "Evaluation runs" not in page.value("document.body.innerText"), "GenAI pages"
        back = "[...document.links].find(link => link.textContent === 'report.html')"
        page.wait(back)
        page.picture("trial_run")
        page.value(f"location.href = {back}.href")
        page.wait("document.body.innerText.includes('tiny/standard/r1')")
        page.wait("document.body.innerText.includes('report.html')")
        page.picture("report_artifact")


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
