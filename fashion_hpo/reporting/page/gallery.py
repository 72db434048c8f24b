"""Images that a model got wrong and was sure of."""

from typing import NamedTuple

import numpy as np

from fashion_hpo.analysis.statistics.predictions import Predictions, confident_mistakes
from fashion_hpo.reporting.page.pictures import data_address

MOST = 24


class Mistake(NamedTuple):
    """One validation image, what it was taken for, with what confidence, and what it is."""

    number: int
    picture: str  # the address of the image for <img>
    predicted: str
    confidence: str
    true: str


def mistakes(predictions: Predictions, images: np.ndarray) -> list[Mistake]:
    """The most confident ones.

    images: uint8 (N, 28, 28) or (N, 3, 28, 28), in the order of the predictions.
    """
    return [
        Mistake(
            number,
            data_address(images[number]),
            predictions.classes[predictions.predicted[number]],
            f"{predictions.confidence[number]:.1%}".replace("%", "\u00a0%"),
            predictions.classes[predictions.labels[number]],
        )
        for number in confident_mistakes(predictions, MOST).tolist()
    ]
