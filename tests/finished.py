"""A store in which two small studies are done and a champion is registered."""

import gc
import shutil
from dataclasses import dataclass
from pathlib import Path

from mlflow.entities import Run
from mlflow.tracking._tracking_service import utils

from fashion_hpo.design.plan import Plan
from fashion_hpo.integrity.evidence import Violation
from fashion_hpo.integrity.invariants import examine
from fashion_hpo.registering import registration
from fashion_hpo.running import workers
from fashion_hpo.running.session import open_session
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Entry, Ledger
from fashion_hpo.stores.opening import all_ledgers
from fashion_hpo.stores.relocation import relocate
from fashion_hpo.stores.tracking import Tracker
from tests.images import search_splits
from tests.plans import design, search


@dataclass(frozen=True)
class Finished:
    """The store, and its design with four complete trials."""

    store: Store
    ledger: Ledger
    tracker: Tracker

    def examine(self) -> list[Violation]:
        return examine(self.store, self.ledger, self.tracker)

    def entry(self, number: int = 1) -> Entry:
        return self.ledger.entry(number)

    def uid(self, number: int = 1) -> str:
        return self.entry(number).attempt.uid

    def run(self, number: int = 1) -> Run:
        run_id = self.tracker.run_of(self.uid(number))
        assert run_id is not None
        return self.tracker.client.get_run(run_id)

    def run_id(self, number: int = 1) -> str:
        return str(self.run(number).info.run_id)

    def model_id(self, number: int = 1) -> str:
        found = self.tracker.model_of(self.uid(number))
        assert found is not None
        return found

    def model_folder(self, number: int = 1) -> Path:
        model = self.tracker.client.get_logged_model(self.model_id(number))
        return Path(str(model.artifact_location))


def copied(template: Path, root: Path) -> Store:
    """A copy of a store at `root`."""
    shutil.copytree(template, root)
    utils._artifact_repos_cache.clear()  # of MLflow: where the runs of these ids were before
    store = Store.at(root)
    relocate(store)
    return store


def finished(template: Path, root: Path) -> Finished:
    """A copy of the finished store at `root`."""
    store = copied(template, root)
    ledger = next(ledger for ledger in all_ledgers(store) if ledger.plan.name == "tiny")
    return Finished(store, ledger, Tracker(store, "tiny"))


def make(root: Path, fresh_databases: Path) -> None:
    """Make the store, and leave no database open, whose write-ahead file would change later."""
    shutil.copytree(fresh_databases, root)
    for plan in (design(), search(trials=2, sampler="random")):
        _run(root, plan)
    gc.collect()
    assert not (root / "optuna.db-wal").exists()


def _run(root: Path, plan: Plan) -> None:
    session = open_session(Store.at(root), plan, device="cpu", splits=search_splits())
    list(workers.work(session))
    report = root / "reports" / session.ledger.name
    report.mkdir(parents=True)
    (report / "report.html").write_text("a report")
    assert session.mirror.publish(report, {}, finished=True)
    if plan.name == "tiny":
        chosen = registration.candidate(session.ledger, session.tracker)
        model = registration.load_proven(chosen, session.tracker, session.splits)
        registration.register(chosen, session.tracker, model, {"study": "tiny"}, "# card")
