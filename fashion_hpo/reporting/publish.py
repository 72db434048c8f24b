"""Write a study's report into the store and its study run."""

from dataclasses import dataclass
from pathlib import Path

from fashion_hpo.analysis import records, verdicts
from fashion_hpo.reporting import page
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.ledger import Ledger
from fashion_hpo.stores.tracking import Tracker


@dataclass(frozen=True)
class Published:
    """The answer's sentences and the page's place."""

    answer: list[str]
    page: Path


def publish(store: Store, ledger: Ledger, tracker: Tracker, study_run: str) -> Published:
    """Rebuild the page and its figures from the ledger and log them to the study run.

    The study run is FINISHED once no point is left, and SCHEDULED until then.
    """
    found = records.of_ledger(ledger)
    answer, judged = verdicts.answer(found), verdicts.judge(found)
    folder = store.report(ledger.name)
    path = page.write(found, judged, answer, folder)
    tracker.log_files(study_run, folder, "report")
    tags = {f"verdict.{verdict.claim_id}": verdict.word for verdict in judged}
    tracker.set_tags(study_run, {"answer": " ".join(answer), **tags})
    tracker.set_status(study_run, "SCHEDULED" if found.remaining else "FINISHED")
    return Published(answer, path)
