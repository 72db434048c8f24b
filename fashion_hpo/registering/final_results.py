"""Measure a candidate on the gate and the test images, once.

Each result is stored at once in a tag of the candidate's run, so that a registration after a kill,
a refusal or a repetition does not open the same images again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlflow.entities.model_registry import ModelVersion
from torch import nn

from fashion_hpo.design.data_set import DataInfo
from fashion_hpo.files.audit import wrote
from fashion_hpo.registering.gate import Comparison, paired
from fashion_hpo.registering.registration import Candidate, Score, register_command, score
from fashion_hpo.stores import models, registry
from fashion_hpo.stores.models import UnsafeModelError
from fashion_hpo.stores.tracking import TAG, Tracker
from fashion_hpo.training import packaging
from fashion_hpo.training.data import Split


class RefusedError(RuntimeError):
    """A challenger failed the gate, or cannot be compared with the champion."""


@dataclass(frozen=True)
class Tested:
    """A model's score on the test images, and how often they were opened before."""

    score: Score
    openings_before: int


def compared(chosen: Candidate, tracker: Tracker, present: ModelVersion) -> Comparison | None:
    """The candidate's stored comparison with this champion, if any."""
    stored = _stored(tracker, chosen, "gate")
    comparison = Comparison(**stored) if stored else None
    if comparison is None or (comparison.champion, comparison.source) != _identity(present):
        return None
    return comparison


def compare(
    chosen: Candidate,
    tracker: Tracker,
    model: nn.Module,
    present: ModelVersion,
    opponent: nn.Module,
    gate: Split,
    openings_before: int,
) -> Comparison:
    """Compare the verified model with the champion's on the gate images; store the comparison."""
    difference, lower = paired(_hits(model, gate), _hits(opponent, gate))
    number, source = _identity(present)
    comparison = Comparison(number, source, difference, lower, len(gate), openings_before)
    _store(tracker, chosen, "gate", comparison.to_dict())
    return comparison


def load_champion(chosen: Candidate, tracker: Tracker, present: ModelVersion) -> nn.Module:
    """The champion's model; raises RefusedError if its files differ from the registered ones."""
    try:
        folder = registry.download_verified(tracker.uri, registry.address_of(present))
        return models.read_model(folder)
    except (UnsafeModelError, ValueError) as error:
        has_previous = _has_previous(tracker, present.name)
        command = rollback_command(chosen.ledger.info)
        back = f", go back with `{command}`" if has_previous else ""
        raise RefusedError(
            f"champion version {present.version} cannot be compared with ("
            f"{str(error).rstrip('.')}); restore it{back}, or "
            f"replace it uncompared with {forced(chosen)}."
        ) from None


def forced(chosen: Candidate) -> str:
    """The command that makes the candidate champion without the gate."""
    retrain = "--retrain " if chosen.retrained else ""
    return register_command(chosen.ledger.plan, f"{retrain}--force")


def check_same_data(chosen: Candidate, present: ModelVersion) -> None:
    """Raise RefusedError if the champion was trained on other images of the data set: it may know
    the gate's."""
    before, now = present.tags.get(f"{TAG}.data_hash"), chosen.ledger.data_hash
    if before not in (None, now):
        raise RefusedError(
            f"champion version {present.version} was trained on other images of "
            f"{chosen.ledger.info.name} (sha256 {before[:12]}…, now {now[:12]}…), so the gate "
            f"cannot compare; replace it uncompared with {forced(chosen)}."
        )


def rollback_command(info: DataInfo) -> str:
    """The command that goes back to the champion before."""
    return "python -m fashion_hpo.register --rollback" + (
        "" if info.is_default else f" --data-name {info.name}"
    )


def _has_previous(tracker: Tracker, name: str) -> bool:
    try:
        registry.to_roll_back(tracker.client, name)
    except ValueError:
        return False
    return True


def tested(chosen: Candidate, tracker: Tracker) -> Tested | None:
    """The candidate's stored test result, if any."""
    stored = _stored(tracker, chosen, "tested")
    if stored is None:
        return None
    confusion, classes = np.array(stored["confusion"]), chosen.ledger.info.classes
    return Tested(Score(stored["loss"], confusion, classes), stored["openings_before"])


def test(
    chosen: Candidate, tracker: Tracker, model: nn.Module, images: Split, openings_before: int
) -> Tested:
    """Measure the verified model on the test images; store the result."""
    measured = score(model, images, chosen.ledger.info.classes)
    values = {
        "loss": measured.loss,
        "confusion": measured.confusion.tolist(),
        "openings_before": openings_before,
    }
    _store(tracker, chosen, "tested", values)
    return Tested(measured, openings_before)


def _hits(model: nn.Module, images: Split) -> np.ndarray:
    """The images that a model classifies correctly, bool (N,)."""
    predicted = packaging.probabilities_of(model, images.images).argmax(1)
    return np.asarray(predicted == images.labels.numpy())


def _identity(version: ModelVersion) -> tuple[str, str]:
    return str(version.version), str(version.source)


def _stored(tracker: Tracker, chosen: Candidate, name: str) -> dict[str, Any] | None:
    text = tracker.client.get_run(chosen.run_id).data.tags.get(f"{TAG}.{name}")
    values: dict[str, Any] | None = json.loads(text) if text else None
    return values


def _store(tracker: Tracker, chosen: Candidate, name: str, values: Mapping[str, Any]) -> None:
    tracker.set_tags(chosen.run_id, {name: json.dumps(dict(values))})
    wrote(f"{name} result kept")
