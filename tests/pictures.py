"""Make the pictures of README and docs: `make pictures`, after `make study`.

They show the quick dropout ablation as it is in the store: its report, and its run in MLflow.
"""

import argparse
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from fashion_hpo.analysis.records import find_ledger
from fashion_hpo.design.ports import TRAINING
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.reading import store_to_load_from
from fashion_hpo.stores.tracking import Tracker, run_page
from tests.browser import Tab, tab
from tests.commands.test_ui import free_port

COLOURS = 128  # of a picture's palette: a third of the bytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, default=Path("mlruns"))
    parser.add_argument("--into", type=Path, default=Path("docs"))
    args = parser.parse_args()
    store = store_to_load_from(args.store)
    ledger = find_ledger(store, "dropout_ablation", "quick")
    with tab() as page:
        page.open(
            store.report(ledger.name).joinpath("report.html").absolute().as_uri(), (1280, 1000)
        )
        write(page.pixels(), args.into / "dropout_ablation.png")
        with served(["--store", str(args.store)]) as newest:
            address = newest.partition("/#")[0]
            tracker = Tracker(store, ledger.plan.name)
            study_run(page, f"{address}/{of_study(tracker, ledger)}")
            write(page.pixels(), args.into / "mlflow_study.png")


def of_study(tracker: Tracker, ledger: Ledger) -> str:
    """The page of a study's run, after the UI's address."""
    return run_page(tracker.experiment_id, str(tracker.run_of(ledger.uid)))


NO_ASSISTANT = """localStorage.setItem("mlflow.assistant.panelOpen_v1", false);
localStorage.setItem("mlflow.assistant.fab.autoOpenedOnFirstLoad_v1", true)"""
SHOW_MORE = """(button => button && button.click())(
  [...document.querySelectorAll('button')].find(part => part.textContent === 'Show more'))"""


def study_run(page: Tab, address: str) -> None:
    """Open the run of a study in MLflow, with its whole description and nothing beside it."""
    page.open(f"{address.partition('/#')[0]}/health")
    page.value(NO_ASSISTANT)
    page.open(f"{address}?{TRAINING}", (1500, 900))
    page.wait("document.body.innerText.includes('best_mean')")
    page.value(SHOW_MORE)


def write(png: bytes, path: Path) -> None:
    """A small file: few of its colours differ."""
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(COLOURS).save(path, optimize=True)


@contextmanager
def served(arguments: list[str]) -> Iterator[str]:
    """The address of the newest study's page, while MLflow's UI runs."""
    command = [sys.executable, "-m", "fashion_hpo.ui", *arguments, "--port", str(free_port())]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            lines = iter(server.stdout.readline, "")
            yield next(filter(None, (re.search("^the newest: +(.*)", line) for line in lines)))[1]
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
