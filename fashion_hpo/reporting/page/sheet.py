"""A sheet of small pictures, to look at what is done to training images: one HTML page."""

from collections.abc import Iterable, Sequence

import numpy as np

from fashion_hpo.reporting.page import document
from fashion_hpo.reporting.page.pictures import channels_last, data_address


def render(
    title: str, notes: Sequence[str], rows: Iterable[tuple[str, np.ndarray]], names: Sequence[str]
) -> str:
    """The whole page.  Each row has its title and uint8 (draws, images, S, S); `names` are the
    images', for readers who cannot see them."""
    described = [
        (heading, [list(zip(map(_address, draw), names, strict=True)) for draw in draws])
        for heading, draws in rows
    ]
    epochs = len(described[0][1])
    return document.render(
        "augmentations.html", title=title, notes=notes, epochs=epochs, rows=described
    )


def _address(image: np.ndarray) -> str:
    return data_address(channels_last(image))
