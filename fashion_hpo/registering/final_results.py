"""What a candidate reaches on the gate and the test images, measured once.

It is kept in tags of the candidate's run as soon as it is known, so that a registration that was
killed, refused or repeated does not look at the same images again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from mlflow.entities.model_registry import ModelVersion
from torch import nn

from fashion_hpo.files.audit import wrote
from fashion_hpo.registering.gate import Comparison, paired
from fashion_hpo.registering.registration import Candidate, Score, register_command, score
from fashion_hpo.stores import models, registry
from fashion_hpo.stores.models import UnsafeModelError
from fashion_hpo.stores.tracking import TAG, Tracker
from fashion_hpo.training import packaging
from fashion_hpo.training.data import Split


class RefusedError(RuntimeError):
    """A challenger that may not become champion."""


@dataclass(frozen=True)
class Tested:
    """A model on the test images, and how often they were opened before."""

    score: Score
    openings_before: int


def compared(chosen: Candidate, tracker: Tracker, present: ModelVersion) -> Comparison | None:
    """The candidate's comparison with this champion, if it was made before."""
    kept = _kept(tracker, chosen, "gate")
    found = Comparison(**kept) if kept else None
    same = found is not None and (found.champion, found.source) == _identity(present)
    return found if same else None


def compare(
    chosen: Candidate,
    tracker: Tracker,
    model: nn.Module,
    present: ModelVersion,
    opponent: nn.Module,
    gate: Split,
    openings_before: int,
) -> Comparison:
    """Compare the proven model with the champion's on the gate images, and keep what came of it."""
    difference, lower = paired(_hits(model, gate), _hits(opponent, gate))
    number, source = _identity(present)
    found = Comparison(number, source, difference, lower, len(gate), openings_before)
    _keep(tracker, chosen, "gate", found.to_dict())
    return found


def load_champion(chosen: Candidate, tracker: Tracker, present: ModelVersion) -> nn.Module:
    """The champion's model; raises RefusedError if its files are not what was registered."""
    try:
        folder = registry.download_verified(tracker.uri, registry.address_of(present))
        return models.read_model(folder)
    except (UnsafeModelError, ValueError) as error:
        back = ", go back with `python -m fashion_hpo.register --rollback`"
        raise RefusedError(
            f"champion version {present.version} cannot be compared with ("
            f"{str(error).rstrip('.')}); restore it{back if _has_previous(tracker) else ''}, or "
            f"replace it uncompared with {forced(chosen)}."
        ) from None


def forced(chosen: Candidate) -> str:
    """The command that makes the candidate champion whatever was found."""
    retrain = "--retrain " if chosen.retrained else ""
    return register_command(chosen.ledger.plan, f"{retrain}--force")


def _has_previous(tracker: Tracker) -> bool:
    try:
        registry.to_roll_back(tracker.client)
    except ValueError:
        return False
    return True


def tested(chosen: Candidate, tracker: Tracker) -> Tested | None:
    """The candidate's test result, if it was measured before."""
    kept = _kept(tracker, chosen, "tested")
    if kept is None:
        return None
    return Tested(Score(kept["loss"], np.array(kept["confusion"])), kept["openings_before"])


def test(
    chosen: Candidate, tracker: Tracker, model: nn.Module, images: Split, openings_before: int
) -> Tested:
    """Measure the proven model on the test images, and keep what came of it."""
    found = score(model, images)
    kept = {
        "loss": found.loss,
        "confusion": found.confusion.tolist(),
        "openings_before": openings_before,
    }
    _keep(tracker, chosen, "tested", kept)
    return Tested(found, openings_before)


def _hits(model: nn.Module, images: Split) -> np.ndarray:
    """Which images a model is right about, bool (N,)."""
    predicted = packaging.probabilities_of(model, images.images).argmax(1)
    return np.asarray(predicted == images.labels.numpy())


def _identity(version: ModelVersion) -> tuple[str, str]:
    return str(version.version), str(version.source)


def _kept(tracker: Tracker, chosen: Candidate, name: str) -> dict[str, Any] | None:
    text = tracker.client.get_run(chosen.run_id).data.tags.get(f"{TAG}.{name}")
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def _keep(tracker: Tracker, chosen: Candidate, name: str, values: Mapping[str, Any]) -> None:
    tracker.set_tags(chosen.run_id, {name: json.dumps(dict(values))})
    wrote(f"{name} result kept")
