"""Images that a model got wrong and was sure of, as HTML."""

from html import escape

import numpy as np

from fashion_hpo.analysis.statistics.predictions import Predictions, confident_mistakes
from fashion_hpo.design.classes import CLASSES
from fashion_hpo.reporting.page.sheet import picture

MOST = 24


def gallery(of: Predictions, images: np.ndarray) -> str:
    """The most confident mistakes.  images: uint8 (N, 28, 28), in the order of the predictions."""
    shown = confident_mistakes(of, MOST)
    if not len(shown):
        return "<p>The model made no mistake.</p>"
    items = "".join(_item(of, images[number], int(number)) for number in shown)
    told = f"The {len(shown)} mistakes the model was surest of, of {int((~of.correct).sum())}."
    return f'<p>{told}</p><ul class="gallery">{items}</ul>'


def _item(of: Predictions, image: np.ndarray, number: int) -> str:
    true, taken = CLASSES[of.labels[number]], CLASSES[of.predicted[number]]
    sure = f"{of.confidence[number]:.1%}".replace("%", "\u00a0%")
    return (
        f"<li>{picture(image, f'validation image {number}')}"
        f"<span>{escape(taken)}</span><span>{sure}</span>"
        f'<span class="note">is {escape(true)}</span></li>'
    )
