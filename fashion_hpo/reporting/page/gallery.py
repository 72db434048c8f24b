"""Images that a model got wrong and was sure of."""

from typing import NamedTuple

import numpy as np

from fashion_hpo.analysis.statistics.predictions import Predictions, confident_mistakes
from fashion_hpo.reporting.page.pictures import channels_last, data_address

MOST = 24


class Mistake(NamedTuple):
    """One validation image, what it was taken for, with what confidence, and what it is."""

    number: int
    picture: str  # the address of the image for <img>
    heat: str  # of the image under its heat map; "" without one
    predicted: str
    confidence: str
    true: str


def most_confident(predictions: Predictions) -> list[int]:
    """The numbers of the images in the gallery."""
    return [int(number) for number in confident_mistakes(predictions, MOST)]


def mistakes(
    predictions: Predictions, images: np.ndarray, overlays: np.ndarray | None = None
) -> list[Mistake]:
    """The most confident ones.

    images: uint8 (N, 28, 28) or (N, 3, 28, 28), in the order of the predictions.
    overlays: uint8 (mistakes, 28, 28, 3), the mistakes under their heat maps.
    """
    return [
        Mistake(
            number,
            data_address(channels_last(images[number])),
            "" if overlays is None else data_address(overlays[place]),
            predictions.classes[predictions.predicted[number]],
            f"{predictions.confidence[number]:.1%}".replace("%", "\u00a0%"),
            predictions.classes[predictions.labels[number]],
        )
        for place, number in enumerate(most_confident(predictions))
    ]
