"""Write reports into the store and into MLflow."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fashion_hpo.analysis import answers, records
from fashion_hpo.analysis.checks import every
from fashion_hpo.analysis.checks.every import Check
from fashion_hpo.analysis.findings import Finding
from fashion_hpo.analysis.statistics import predictions, selection, verdicts
from fashion_hpo.analysis.statistics.pareto import places
from fashion_hpo.design.sentences import with_store
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.reporting.page import claims_page, page
from fashion_hpo.running.mirror import Mirror, log_page
from fashion_hpo.stores.layout import Store
from fashion_hpo.stores.opening import confirmation_of
from fashion_hpo.stores.predictions import NoPredictionsError

ALL_CLAIMS = "all-claims"  # no study can have this name


@dataclass(frozen=True)
class Published:
    """The answer's sentences, the page's place, and why it is not in MLflow ("": it is); of a study
    also its checks."""

    answer: list[str]
    page: Path
    away: str
    checks: tuple[Check, ...] = ()

    @property
    def mirrored(self) -> bool:
        """Whether MLflow has it too."""
        return not self.away


def publish(
    mirror: Mirror, images: np.ndarray | None = None, why: str = "", where: str = ""
) -> Published:
    """Rebuild a study's page and its figures from the ledger and log them to the study run.

    That of a search's confirmation is closed too; its results are part of the search's page.
    images: uint8 (N, 28, 28), the validation split, for the gallery; without them `why` says why.
    where: the arguments that name the store, for the commands that are told.
    """
    confirming = confirmation_of(mirror.store, mirror.ledger)
    folder = mirror.store.report(mirror.ledger.name)
    with mirror.store.lock("report"):  # workers that end together
        found = records.of_ledger(mirror.ledger, mirror.store, confirming)
        answer = [with_store(sentence, where) for sentence in answers.answer(found)]
        judged = [
            dataclasses.replace(each, sentence=with_store(each.sentence, where))
            for each in verdicts.judge(found)
        ]
        checked = tuple(
            dataclasses.replace(each, advice=with_store(each.advice, where))
            for each in every.check(found)
        )
        extras = dataclasses.replace(_extras(found, checked, images, why), where=where)
        path = page.write(found, judged, answer, folder, extras)
        tags = {f"verdict.{verdict.claim_id}": verdict.word for verdict in judged}
        tags |= {f"check.{each.name}": f"{each.level}: {each.sentence}" for each in checked}
        tags["answer"] = " ".join(answer)
        tags |= selection.summary(found)
        mirrored = mirror.publish(folder, tags, finished=not found.remaining)
        if mirrored and confirming is not None:
            theirs = Mirror(mirror.store, confirming, mirror.tracker)
            mirrored = theirs.publish(None, tags, finished=not confirming.remaining())
        if mirrored and len(found.plan.objectives) > 1:
            words = places(found)
            mirrored = mirror.tag_trials({uid: {"pareto": word} for uid, word in words.items()})
    return Published(answer, path, "" if mirrored else mirror.away, checked)


def _extras(
    found: records.Records,
    checked: Sequence[Check],
    images: np.ndarray | None,
    why: str,
) -> page.Extras:
    """What the page shows of the best trial, or why it cannot."""
    number = predictions.best_trial(found)
    if number is None:
        return page.Extras(checked)
    try:
        best = predictions.read(found, number)
    except NoPredictionsError as error:
        return page.Extras(checked, absent=[f"{error}; its figures are left out."])
    if images is None or len(images) != len(best.labels):
        told = why or "the validation images were not at hand"
        return page.Extras(checked, best, absent=[f"No gallery of mistakes: {told}."])
    return page.Extras(checked, best, images)


def publish_claims(
    store: Store, findings: Sequence[Finding], unreadable: Sequence[str], where: str = ""
) -> Published:
    """Write the page of all claims and log it to a run of its own."""
    folder, summary = store.report(ALL_CLAIMS), claims_page.summary(findings)
    with store.lock("report"):
        path = folder / "claims.html"
        write_atomically(path, claims_page.page(findings, unreadable, where).encode())
        tags = {f"verdict.{found.verdict.claim_id}": found.verdict.word for found in findings}
        away = log_page(store, ALL_CLAIMS, folder, {**tags, "answer": summary})
    return Published([summary], path, away)
