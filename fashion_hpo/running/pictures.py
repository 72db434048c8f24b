"""The validation images, for pages that show some of them."""

from pathlib import Path

import numpy as np

from fashion_hpo.training.data import load_search_splits


def validation_images(folder: Path | None, data_hash: str) -> tuple[np.ndarray | None, str]:
    """uint8 (N, 28, 28) in the order of the split, or why they cannot be had here.

    They must be those that the trials were measured on.  Nothing is downloaded for a picture.
    """
    try:
        splits = load_search_splits(folder)
    except ValueError as error:  # absent, or broken
        return None, str(error).rstrip(".")
    if splits.data_hash != data_hash:
        return None, "the data here are others than those of the study"
    return splits.val.images.numpy(), ""
