"""Load the images for a page's gallery."""

from pathlib import Path

from fashion_hpo.design.data_set import DataSet
from fashion_hpo.training.data import SearchSplits, load_search_splits


def splits_at_hand(
    folder: Path | DataSet | None, data_hash: str
) -> tuple[SearchSplits | None, str]:
    """The splits; or None and the reason.

    They must be the images that the trials were measured on.  Nothing is downloaded.
    """
    try:
        splits = load_search_splits(folder)
    except ValueError as error:  # absent or broken files
        return None, str(error).rstrip(".")
    if splits.data_hash != data_hash:
        return None, "the data here are others than those of the study"
    return splits, ""
