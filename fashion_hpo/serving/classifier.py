"""Answer which articles images show, with the champion, its version and a warning if unsure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor, nn

from fashion_hpo.design.classes import CLASSES
from fashion_hpo.design.data_set import FASHION_NAME, registered_name
from fashion_hpo.serving.images import read_grey
from fashion_hpo.serving.preparing import Prepared, prepare
from fashion_hpo.stores import models, registry
from fashion_hpo.stores.reading import store_to_load_from
from fashion_hpo.stores.tracking import TAG
from fashion_hpo.training.heat import Look, looks
from fashion_hpo.training.packaging import probabilities_of
from fashion_hpo.training.pictures import channels_first, read_picture

UNSURE = "unsure_below"  # tag of a version
FALSE_ALARMS = 0.01  # share of the validation images for which the model is called unsure


@dataclass(frozen=True)
class Answer:
    """The classes' probabilities of one image, and a warning, or ""."""

    probabilities: np.ndarray
    warning: str = ""
    classes: Sequence[str] = CLASSES

    @property
    def ranked(self) -> list[tuple[str, float]]:
        """Class names with their probabilities, the likeliest first."""
        order = self.probabilities.argsort()[::-1]
        return [(self.classes[index], float(self.probabilities[index])) for index in order]

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it."""
        return {
            "class": self.ranked[0][0],
            "probabilities": dict(zip(self.classes, map(float, self.probabilities), strict=True)),
            **({"warning": self.warning} if self.warning else {}),
        }


@dataclass(frozen=True)
class Classifier:
    """A registered model; `unsure_below` is None for versions that do not tell it."""

    model: nn.Module
    name: str
    version: str
    unsure_below: float | None = None
    classes: Sequence[str] = CLASSES
    channels: int = 1
    is_own: bool = False  # of a data set of one's own, not Fashion-MNIST

    def answers(self, images: Tensor) -> list[Answer]:
        """Classify uint8 (N, 28, 28), or (N, 3, 28, 28) of three channels."""
        rows = probabilities_of(self.model, images)
        return [Answer(row, self._warning(row), self.classes) for row in rows]

    def looks(self, images: Tensor) -> list[Look]:
        """Where the model looks in these images; raises NoHeatError if its form does not tell."""
        return looks(self.model, images)

    def prepared(self, source: Path | IO[bytes], name: str) -> Prepared:
        """A picture as the training images were made; raises ValueError if it is none."""
        if not self.is_own:
            return prepare(np.asarray(read_grey(source, name)))
        try:
            return Prepared(channels_first(read_picture(source), self.channels), ())
        except ValueError as error:
            raise ValueError(f"{name} cannot be read ({error}).") from None

    @property
    def identity(self) -> dict[str, str]:
        """Name and version, for every answer."""
        return {"name": self.name, "version": self.version}

    def _warning(self, probabilities: np.ndarray) -> str:
        if self.unsure_below is None or probabilities.max() >= self.unsure_below:
            return ""
        return (
            f"the model is less sure than on {1 - FALSE_ALARMS:.0%} of the validation images, and "
            "what is shown may be none of its classes"
        )


def champion(root: Path, data_name: str | None = None) -> Classifier:
    """The champion of the store in a folder; `data_name`: of a data set of one's own.

    Raises ValueError if there is no champion, and UnsafeModelError if its files were changed.
    """
    store = store_to_load_from(root)
    name = registered_name(data_name or FASHION_NAME)
    address = registry.champion_uri(name)
    version, folder = registry.version_verified(store.tracking_uri, address)
    described = models.metadata_of(folder)
    tag = version.tags.get(f"{TAG}.{UNSURE}")
    return Classifier(
        models.read_model(folder),
        version.name,
        str(version.version),
        None if tag is None else float(tag),
        described.get("classes", CLASSES),
        described.get("channels", 1),
        "data_set" in described,
    )


def unsure_below(model: nn.Module, images: Tensor) -> float:
    """The highest probability below which the model is called unsure.

    For `FALSE_ALARMS` of these validation images the highest probability is lower (the baseline of
    Hendrycks and Gimpel 2017 for images unlike the training data).
    """
    highest = probabilities_of(model, images).max(1)
    return float(np.quantile(highest, FALSE_ALARMS))


def stacked(pictures: Sequence[np.ndarray]) -> Tensor:
    """Pictures, uint8 (28, 28) or (3, 28, 28) each, as the model takes them."""
    return torch.from_numpy(np.stack(pictures))
