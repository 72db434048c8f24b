"""The images a search may see: the training and validation splits.

A split is a function of image content: within each class, images are ranked by a keyed hash of
their bytes, so the files' order (idx or Kaggle's CSV) does not matter and no seed can be tuned.
Ranks 0-499 of each class are the gate, 500-999 validation, the rest training.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fashion_hpo.design.classes import CLASSES as CLASSES
from fashion_hpo.training import download, sources
from fashion_hpo.training.sources import Arrays, MissingDataError

PER_CLASS_HELD_OUT = 500  # images of each class in the gate, and as many in validation


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, 28, 28) and labels int64 (N,), on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Split":
        """The first `count` images; of the training split, a nested and stratified subset."""
        return Split(self.images[:count], self.labels[:count])

    def to(self, device: str) -> "Split":
        """The same images, resident on a device."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class SearchSplits:
    """What a search sees.  The gate and the test set are not here: see `final_images`."""

    train: Split
    val: Split
    data_hash: str  # sha256 over every byte of the 60,000 images and labels, in any order


class Thirds(NamedTuple):
    """Row numbers of the three parts of the 60,000 training images."""

    train: np.ndarray
    val: np.ndarray
    gate: np.ndarray


def load_search_splits(folder: Path | None = None) -> SearchSplits:
    """Find, verify and split the data: 50,000 training and 5,000 validation images.

    Raises MissingDataError where there is none and BrokenDataError, naming the file, where its
    content is not Fashion-MNIST's.
    """
    arrays = sources.read("train", folder)
    rows = partition(arrays)
    return SearchSplits(
        train=take(arrays, rows.train), val=take(arrays, rows.val), data_hash=data_hash(arrays)
    )


def load_or_download(
    folder: Path | None = None, mirrors: Sequence[str] = download.MIRRORS
) -> SearchSplits:
    """As `load_search_splits`; fetches the files into the user's cache where there are none.

    A folder asked for, by argument or FASHION_HPO_DATA, is never replaced by a download.
    """
    if sources.asked_folder(folder) is None and _needs_download():
        download.fetch(sources.cache_folder(), mirrors)
    return load_search_splits(folder)


def partition(arrays: Arrays) -> Thirds:
    """Split rows by content, stratified; the training rows are ordered so that every prefix is
    stratified as well, to within one image per class."""
    digests = sources.row_digests(arrays)
    ranked = np.stack([_ranked(arrays.labels, digests, label) for label in range(10)], axis=1)
    held = PER_CLASS_HELD_OUT
    gate, val, train = ranked[:held], ranked[held : 2 * held], ranked[2 * held :]
    return Thirds(train=train.ravel(), val=val.ravel(), gate=gate.ravel())


def take(arrays: Arrays, rows: np.ndarray) -> Split:
    """The chosen rows as tensors."""
    labels = torch.from_numpy(arrays.labels[rows].astype(np.int64))
    return Split(torch.from_numpy(arrays.images[rows]), labels)


def data_hash(arrays: Arrays) -> str:
    """sha256 of the sorted row digests: covers all bytes, whatever the rows' order."""
    return hashlib.sha256(b"".join(sorted(sources.row_digests(arrays)))).hexdigest()


def _needs_download() -> bool:
    """Whether no files are found, or those of a download that was interrupted."""
    try:
        found = sources.find()
    except MissingDataError:
        return True
    return found == sources.cache_folder() and sources.is_partial(found)


def _ranked(labels: np.ndarray, digests: list[bytes], label: int) -> np.ndarray:
    rows = np.flatnonzero(labels == label)
    return np.array(sorted(rows, key=lambda row: digests[row]))
