"""Load the validation images for a page's gallery."""

from pathlib import Path

import numpy as np

from fashion_hpo.training.data import load_search_splits


def validation_images(folder: Path | None, data_hash: str) -> tuple[np.ndarray | None, str]:
    """The images, uint8 (N, 28, 28), in the order of the split; or None and the reason.

    They must be the images that the trials were measured on.  Nothing is downloaded.
    """
    try:
        splits = load_search_splits(folder)
    except ValueError as error:  # absent or broken files
        return None, str(error).rstrip(".")
    if splits.data_hash != data_hash:
        return None, "the data here are others than those of the study"
    return splits.val.images.numpy(), ""
