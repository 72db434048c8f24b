"""Write a study's report into the store and its study run."""

from dataclasses import dataclass
from pathlib import Path

from fashion_hpo.analysis import records, verdicts
from fashion_hpo.reporting import page
from fashion_hpo.running.mirror import Mirror


@dataclass(frozen=True)
class Published:
    """The answer's sentences, the page's place, and whether it is in MLflow too."""

    answer: list[str]
    page: Path
    mirrored: bool


def publish(mirror: Mirror) -> Published:
    """Rebuild the page and its figures from the ledger and log them to the study run."""
    folder = mirror.store.report(mirror.ledger.name)
    with mirror.store.lock("report"):  # workers that end together
        found = records.of_ledger(mirror.ledger)
        answer, judged = verdicts.answer(found), verdicts.judge(found)
        path = page.write(found, judged, answer, folder)
        tags = {f"verdict.{verdict.claim_id}": verdict.word for verdict in judged}
        tags["answer"] = " ".join(answer)
        mirrored = mirror.publish(folder, tags, finished=not found.remaining)
    return Published(answer, path, mirrored)
