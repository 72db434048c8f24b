"""Verify and register a study's winner; the caller opens the gate and test images."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from torch import nn

from fashion_hpo.design.classes import CLASSES
from fashion_hpo.design.confirmation import SEARCHED_SEED
from fashion_hpo.design.plan import Plan
from fashion_hpo.design.scores import class_scores, confusion_matrix
from fashion_hpo.design.sentences import study_command
from fashion_hpo.registering.winner import Winner, winner
from fashion_hpo.running.outcome import AlteredModelError
from fashion_hpo.stores import model_files, models, registry
from fashion_hpo.stores.ledger import Attempt, Ledger, Result
from fashion_hpo.stores.ranking import nothing_ranked
from fashion_hpo.stores.tracking import Tracker
from fashion_hpo.training import packaging
from fashion_hpo.training.data import SearchSplits, Split

LOSS_TOLERANCE = 1e-3  # nats; machines round differently


@dataclass(frozen=True)
class Candidate:
    """A complete trial of a ledger's winner, or its config trained again, with its MLflow run.

    `retrained` says on which images the config was trained again; "" for a trial.
    """

    ledger: Ledger
    winner: Winner
    attempt: Attempt
    result: Result
    run_id: str
    model_id: str
    retrained: str = ""


@dataclass(frozen=True)
class Score:
    """A model's score on one set of images.

    confusion: counts (classes, classes), rows are true classes; names: of the classes.
    """

    loss: float  # nats
    confusion: np.ndarray
    names: tuple[str, ...] = CLASSES

    @property
    def images(self) -> int:
        """The number of images."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The accuracy, a share from 0 to 1."""
        return float(np.trace(self.confusion) / self.images)

    @property
    def classes(self) -> list[tuple[str, float, float, float, int]]:
        """Name, precision, recall, F1 and images of each class."""
        scores = class_scores(self.confusion)
        columns = (scores.precision, scores.recall, scores.f1, scores.support)
        return list(zip(self.names, *(column.tolist() for column in columns), strict=True))


def candidate(ledger: Ledger, tracker: Tracker, *, retrain: bool = False) -> Candidate:
    """The winner's trial; raises ValueError if there is no winner or its model is missing.

    With `retrain` the model may be missing.
    """
    entries, bounds = ledger.entries(), ledger.plan.constraints
    if ledger.plan.confirmation is not None:  # without the completed pruned trials
        entries = [entry for entry in entries if entry.attempt.seed_index > SEARCHED_SEED]
    won = winner(entries, bounds)
    if won is None or won.chosen.result is None:
        lack, advice = nothing_ranked(entries, ledger.plan, ledger.remaining())
        raise ValueError(f"{ledger.name} has {lack}; {advice}.")
    attempt = won.chosen.attempt
    run_id, model_id = tracker.run_of(attempt.uid), tracker.model_of(attempt.uid)
    if not retrain and (run_id is None or model_id is None):
        plan = ledger.plan
        how = "removed by gc" if won.chosen.given_up else "deleted"
        raise ValueError(
            f"the model of trial {attempt.number} was {how}, and its files are not in the store; "
            f"train the winner again with {register_command(plan, '--retrain')}, or all points "
            f"with {study_command(plan.name, plan.budget, '--revise')}."
        )
    return Candidate(ledger, won, attempt, won.chosen.result, run_id or "", model_id or "")


def check_data(ledger: Ledger, splits: SearchSplits) -> None:
    """Raise ValueError unless a study's own data set is as the study began with it."""
    before, now = ledger.info, splits.info
    if before.is_default and now.is_default:
        return
    if before.name != now.name or ledger.data_hash != splits.data_hash:
        again = study_command(ledger.plan.name, ledger.plan.budget, "--revise")
        raise ValueError(
            f"{ledger.name} was trained on {before.name} (sha256 {ledger.data_hash[:12]}…), and "
            f"the data here are {now.name} ({splits.data_hash[:12]}…); put the files back as they "
            f"were, or train on these with {again}."
        )


def load_proven(chosen: Candidate, tracker: Tracker, splits: SearchSplits) -> nn.Module:
    """The candidate's model, verified to be the model that was measured.

    Raises AlteredModelError if a file's hash differs from the ledger's, if dropout is on, if a
    batch of 1, 7 or 512 fails, or if the validation accuracy or loss differs from the recorded one.
    """
    splits = splits.of(chosen.attempt.config.fold)
    folder = registry.download(tracker.uri, f"models:/{chosen.model_id}")
    _check_files(folder, chosen)
    model = models.read_model(folder)
    if differences := packaging.differences(model, model, splits.val.images):
        raise AlteredModelError(f"trial {chosen.attempt.number}: {'; '.join(differences)}")
    measured, recorded = score(model, splits.val, splits.info.classes), chosen.result.summaries
    same_accuracy = abs(measured.accuracy - recorded["model_val_accuracy"]) < 0.5 / len(splits.val)
    if not same_accuracy or abs(measured.loss - recorded["model_val_loss"]) > LOSS_TOLERANCE:
        raise AlteredModelError(
            f"trial {chosen.attempt.number}: on the validation images its model has accuracy "
            f"{measured.accuracy:.2%} and loss {measured.loss:.4f}, where the ledger has "
            f"{recorded['model_val_accuracy']:.2%} and {recorded['model_val_loss']:.4f}"
        )
    return model


def score(model: nn.Module, images: Split, classes: tuple[str, ...] = CLASSES) -> Score:
    """Mean loss and confusion matrix of a served model."""
    probabilities = packaging.probabilities_of(model, images.images)
    labels = images.labels.numpy()
    picked = probabilities[np.arange(len(labels)), labels]
    loss = float(-np.log(np.maximum(picked, np.finfo(np.float32).tiny)).mean())
    return Score(loss, confusion_matrix(probabilities.argmax(1), labels, len(classes)), classes)


def register(
    chosen: Candidate, tracker: Tracker, model: nn.Module, tags: Mapping[str, str], card: str
) -> str:
    """Register the verified model, unless it is registered, and make it champion; its version.

    An existing version gets these tags and this card.
    """
    info = chosen.ledger.info
    version = registry.find_version(
        tracker, chosen.attempt.uid, chosen.model_id, info.registered_name
    )
    if version is None:
        hashes = model_files.hashes_in(chosen.result.files)
        version = registry.create_version(
            tracker,
            chosen.model_id,
            chosen.run_id,
            chosen.attempt.uid,
            tags,
            card,
            hashes,
            registry.registered_model(info),
        )
    elif version.description != card:
        registry.describe(tracker, version, tags, card)
    crown(chosen, tracker, version, model)
    return str(version.version)


def crown(chosen: Candidate, tracker: Tracker, version: ModelVersion, model: nn.Module) -> None:
    """Read a version back, compare it with the verified model, and make it champion.

    The version may be that of an earlier process that was killed here.  Raises UnsafeModelError or
    AlteredModelError, and leaves the alias, if the version differs.
    """
    registry.set_manifest(tracker, version, model_files.hashes_in(chosen.result.files))
    folder = registry.download_verified(tracker.uri, registry.address_of(version))
    images = torch.randint(0, 256, (512, *chosen.ledger.info.image_shape), dtype=torch.uint8)
    if differences := packaging.differences(models.read_model(folder), model, images):
        raise AlteredModelError(
            f"version {version.version} is not the tested model: {differences[0]}"
        )
    registry.make_champion(tracker, version)
    registry.retire_others(tracker, chosen.attempt.uid, version)


def roll_back(tracking_uri: str, name: str = registry.REGISTERED_NAME) -> tuple[str, str]:
    """Make the previous champion champion again; the versions restored and withdrawn.

    Raises ValueError if there is no previous champion, and UnsafeModelError, with nothing changed,
    if its files differ from the registered ones.
    """
    client = MlflowClient(tracking_uri, tracking_uri)
    restored, withdrawn = registry.to_roll_back(client, name)
    address = f"models:/{name}/{restored}"
    models.read_model(registry.download_verified(tracking_uri, address))
    registry.roll_back(client, name)
    return restored, withdrawn


def register_command(plan: Plan, options: str = "") -> str:
    """The command that registers the winner of a study's budget, for a message."""
    arguments = f"{plan.name} --budget {plan.budget}{options and f' {options}'}"
    return f"`python -m fashion_hpo.register {arguments}`"


def can_be_registered(ledger: Ledger) -> bool:
    """Whether a ledger has a winner with a model."""
    try:
        return winner(ledger.entries(), ledger.plan.constraints) is not None
    except ValueError:  # a classical classifier has no model
        return False


def too_small(plan: Plan) -> str:
    """Why a study's winner is better not registered, with the command for a better one; else ""."""
    if (larger := plan.beyond_quick) is None:
        return ""
    return (
        "the quick budget trains few images for few epochs, and each opening of the test images "
        f"makes the next result weaker evidence; {study_command(plan.name, larger)} gives a better "
        "winner."
    )


def _check_files(folder: Path, chosen: Candidate) -> None:
    if changed := model_files.changes(folder, model_files.hashes_in(chosen.result.files)):
        raise AlteredModelError(
            f"the model's file {changed[0]}, so it is not registered; "
            f"{model_files.remedy(folder, changed[0])}, or register the winner trained again with "
            f"{register_command(chosen.ledger.plan, '--retrain')}."
        )
