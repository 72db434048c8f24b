"""Answer which articles images show, with the champion, its version and a warning if unsure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fashion_hpo.stores import models, registry
from fashion_hpo.stores.reading import store_to_load_from
from fashion_hpo.stores.tracking import TAG
from fashion_hpo.training.data import CLASSES
from fashion_hpo.training.packaging import probabilities_of

UNSURE = "unsure_below"  # tag of a version
FALSE_ALARMS = 0.01  # share of the validation images for which the model is called unsure


@dataclass(frozen=True)
class Answer:
    """Ten probabilities of one image, and a warning, or ""."""

    probabilities: np.ndarray
    warning: str = ""

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Class names with their probabilities, the likeliest first."""
        order = self.probabilities.argsort()[::-1]
        return [(CLASSES[index], float(self.probabilities[index])) for index in order]

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return {
            "class": self.ranked[0][0],
            "probabilities": dict(zip(CLASSES, map(float, self.probabilities), strict=True)),
            **({"warning": self.warning} if self.warning else {}),
        }


@dataclass(frozen=True)
class Classifier:
    """A registered model; `unsure_below` is None for versions that do not tell it."""

    model: nn.Module
    name: str
    version: str
    unsure_below: float | None = None

    def answers(self, images: Tensor) -> list[Answer]:
        """Classify uint8 (N, 28, 28)."""
        return [Answer(row, self._warning(row)) for row in probabilities_of(self.model, images)]

    @property
    def identity(self) -> dict[str, str]:
        """Name and version, for every answer."""
        return {"name": self.name, "version": self.version}

    def _warning(self, probabilities: np.ndarray) -> str:
        highest = float(probabilities.max())
        if self.unsure_below is None or highest >= self.unsure_below:
            return ""
        return (
            f"the model is less sure ({highest:.0%}) than on {1 - FALSE_ALARMS:.0%} of the "
            "validation images; the picture may show none of the ten articles"
        )


def champion(root: Path) -> Classifier:
    """The champion of the store in a folder.

    Raises ValueError if there is no champion, and UnsafeModelError if its files were changed.
    """
    store = store_to_load_from(root)
    version, folder = registry.version_verified(store.tracking_uri, registry.CHAMPION_URI)
    tag = version.tags.get(f"{TAG}.{UNSURE}")
    return Classifier(
        models.read_model(folder),
        version.name,
        str(version.version),
        None if tag is None else float(tag),
    )


def unsure_below(model: nn.Module, images: Tensor) -> float:
    """The highest probability below which the model is called unsure.

    For `FALSE_ALARMS` of these validation images the highest probability is lower (the baseline of
    Hendrycks and Gimpel 2017 for images unlike the training data).
    """
    highest = probabilities_of(model, images).max(1)
    return float(np.quantile(highest, FALSE_ALARMS))


def stacked(pictures: Sequence[np.ndarray]) -> Tensor:
    """Pictures, uint8 (28, 28) each, as the model takes them."""
    return torch.from_numpy(np.stack(pictures))
