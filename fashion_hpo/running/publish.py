"""Write reports into the store and into MLflow."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from fashion_hpo.analysis import answers, records
from fashion_hpo.analysis.checks import every
from fashion_hpo.analysis.checks.every import Check
from fashion_hpo.analysis.findings import Finding
from fashion_hpo.analysis.statistics import predictions, selection, verdicts
from fashion_hpo.analysis.statistics.pareto import places
from fashion_hpo.analysis.statistics.verdicts import Verdict
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.sentences import shortened, with_store
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.reporting.page import claims_page, page
from fashion_hpo.reporting.page.gallery import most_confident
from fashion_hpo.reporting.page.note import note
from fashion_hpo.running.mirror import Mirror, log_page
from fashion_hpo.running.trial_models import model_folder
from fashion_hpo.stores.layout import Store, without_password
from fashion_hpo.stores.models import UnsafeModelError, read_model
from fashion_hpo.stores.opening import confirmation_of
from fashion_hpo.stores.predictions import NoPredictionsError
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.heat import looks
from fashion_hpo.training.overlay import overlay

ALL_CLAIMS = "all-claims"  # no study can have this name


@dataclass(frozen=True)
class Published:
    """The answer's sentences, the page's path, why MLflow does not have it ("" if it does), and a
    study's checks and verdicts."""

    answer: list[str]
    page: Path
    away: str
    checks: tuple[Check, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "answer": [sentence for sentence in self.answer if sentence],
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
            "checks": [dataclasses.asdict(check) for check in self.checks],
            "report": str(self.page),
            "in_mlflow": self.mirrored,
        }

    @property
    def mirrored(self) -> bool:
        """Whether MLflow has the page too."""
        return not self.away


def publish(
    mirror: Mirror, splits: SearchSplits | None = None, why: str = "", where: str = ""
) -> Published:
    """Rebuild a study's page and its figures from the ledger and log them to the study run.

    Ends the study run of a search's confirmation too; the search's page has its results.
    splits: for the gallery's validation images; if None, `why` is the reason.
    where: the arguments that name the store, for commands in messages.
    """
    confirming = confirmation_of(mirror.store, mirror.ledger)
    folder = mirror.store.report(mirror.ledger.name)
    with mirror.store.lock("report"):  # several workers may end at once
        study = records.of_ledger(mirror.ledger, mirror.store, confirming)
        answer = [with_store(sentence, where) for sentence in answers.answer(study)]
        judged = [
            dataclasses.replace(verdict, sentence=with_store(verdict.sentence, where))
            for verdict in verdicts.judge(study)
        ]
        checks = tuple(
            dataclasses.replace(check, advice=with_store(check.advice, where))
            for check in every.check(study)
        )
        runs = mirror.trial_pages()
        ui = "" if mirror.tracker.is_server else f"python -m fashion_hpo.ui{where}"
        extras = dataclasses.replace(
            _extras(mirror, study, checks, splits, why), where=where, runs=runs or {}, ui=ui
        )
        path = page.write(study, judged, answer, folder, extras)
        tags = {f"verdict.{verdict.claim_id}": verdict.word for verdict in judged}
        tags |= {f"check.{check.name}": f"{check.level}: {check.sentence}" for check in checks}
        tags["answer"] = " ".join(answer)
        tags |= selection.summary(study)
        settings = answers.best_settings(study).items()
        tags |= {f"best.{name}": level_text(value) for name, value in settings}
        finished = not study.remaining
        mirrored = runs is not None and mirror.publish(folder, tags, finished=finished)
        if mirrored:
            text = note(study, judged, answer, where)
            mirrored = mirror.headline(text, answers.headline(study))
        if mirrored and confirming is not None:
            confirmation = Mirror(mirror.store, confirming, mirror.tracker)
            mirrored = confirmation.publish(None, tags, finished=not confirming.remaining())
        if mirrored and len(study.plan.objectives) > 1:
            words = places(study)
            mirrored = mirror.tag_trials({uid: {"pareto": word} for uid, word in words.items()})
    return Published(answer, path, "" if mirrored else mirror.away, checks, tuple(judged))


def _extras(
    mirror: Mirror,
    study: records.Records,
    checks: Sequence[Check],
    splits: SearchSplits | None,
    why: str,
) -> page.Extras:
    """The page's figures of the best trial, or why they are absent."""
    number = predictions.best_trial(study)
    if number is None:
        return page.Extras(checks)
    try:
        best = predictions.read(study, number)
    except NoPredictionsError as error:
        return page.Extras(checks, absent=[f"{error}; its figures are left out."])
    images = None if splits is None else _images_of(study, number, splits)
    if images is None or len(images) != len(best.labels):
        reason = why or "the validation images were not at hand"
        return page.Extras(checks, best, absent=[f"No gallery of mistakes: {reason}."])
    try:
        overlays = _overlays(mirror, number, images[most_confident(best)])
    except (ValueError, UnsafeModelError, MlflowException, SQLAlchemyError, OSError) as error:
        return page.Extras(checks, best, images, absent=[f"No heat maps: {_sentence(error)}"])
    return page.Extras(checks, best, images, overlays)


def _overlays(mirror: Mirror, trial: int, images: np.ndarray) -> np.ndarray:
    """Images under the heat maps of a trial's model, uint8 (N, 28, 28, 3)."""
    if mirror.away:
        raise ValueError(f"tracking is away ({mirror.away})")
    model = read_model(model_folder(mirror.tracker, mirror.ledger.entry(trial)))
    maps = looks(model, torch.from_numpy(images))
    drawn = [overlay(image, look.heat) for image, look in zip(images, maps, strict=True)]
    return np.array(drawn, np.uint8).reshape(-1, 28, 28, 3)


def _sentence(error: Exception) -> str:
    return f"{shortened(without_password(str(error)), 200).rstrip('.')}."


def _images_of(study: records.Records, trial: int, splits: SearchSplits) -> np.ndarray:
    """The validation images of a trial, uint8 (N, 28, 28)."""
    (fold,) = study.trials.loc[study.trials["trial"] == trial, "fold"]
    return splits.of(int(fold)).val.images.cpu().numpy()


def publish_claims(
    store: Store, findings: Sequence[Finding], unreadable: Sequence[str], where: str = ""
) -> Published:
    """Write the page of all claims and log it to a run of its own."""
    folder, summary = store.report(ALL_CLAIMS), claims_page.summary(findings)
    with store.lock("report"):
        path = folder / "claims.html"
        write_atomically(path, claims_page.page(findings, unreadable, where).encode())
        tags = {f"verdict.{f.verdict.claim_id}": f.verdict.word for f in findings}
        away = log_page(store, ALL_CLAIMS, folder, {**tags, "answer": summary})
    return Published([summary], path, away)
