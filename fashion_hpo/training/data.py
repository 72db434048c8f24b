"""The images a search may see: the training and validation splits.

The splits depend on image content alone: within each class, images are ranked by a keyed hash of
their bytes.  So the order in the files (idx or Kaggle's CSV) does not matter, and there is no seed
to tune.  Ranks 0-499 of each class are the gate, 500-999 validation, the rest training.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from fashion_hpo.design.classes import CLASSES as CLASSES
from fashion_hpo.design.data_set import FASHION_MNIST, DataInfo, DataSet
from fashion_hpo.training import download, own_data, sources
from fashion_hpo.training.sources import Arrays, MissingDataError
from fashion_hpo.training.split import Split as Split
from fashion_hpo.training.split import by_turns

PER_CLASS_HELD_OUT = 500  # images per class in the gate; validation has as many
FOLDS = 55_000  # keys the draw of folds; never change it
MOST_HELD_FOLDS = 2  # in memory, 43 MB each, for the trials of a seed


@dataclass(frozen=True)
class SearchSplits:
    """The splits a search sees.  For the gate and the test set see `final_images`."""

    train: Split
    val: Split
    data_hash: str  # sha256 of all bytes of the 60,000 images and labels, independent of order;
    # of other data sets, of all images, test images included
    fold: int = 0
    info: DataInfo = FASHION_MNIST
    notes: tuple[str, ...] = ()  # what was left out, in words
    _resident: dict[str, "SearchSplits"] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    _folds: dict[int, "SearchSplits"] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def on(self, device: str) -> "SearchSplits":
        """The splits on a device, uploaded once for all trainings of this process."""
        if device not in self._resident:
            uploaded = replace(self, train=self.train.to(device), val=self.val.to(device))
            self._resident[device] = uploaded
        return self._resident[device]

    def of(self, fold: int) -> "SearchSplits":
        """The splits of a fold: as many validation images of each class, drawn from training and
        validation images by the fold's number; the rest trains, every prefix stratified.

        Fold 0 is the fixed split.  The gate and the test set are in no fold.
        """
        if fold == self.fold:
            return self
        assert self.fold == 0, "a fold is drawn from the fixed split"
        if fold not in self._folds:
            while len(self._folds) >= MOST_HELD_FOLDS:  # points come seed by seed
                del self._folds[next(iter(self._folds))]
            self._folds[fold] = self._drawn(fold)
        return self._folds[fold]

    def _drawn(self, fold: int) -> "SearchSplits":
        images = torch.cat([self.train.images, self.val.images])
        labels = torch.cat([self.train.labels, self.val.labels])
        held = torch.bincount(self.val.labels, minlength=len(self.info.classes)).tolist()
        draw = np.random.default_rng([FOLDS, fold])
        drawn = [draw.permutation(np.flatnonzero(labels == label)) for label in range(len(held))]
        parts = [
            torch.from_numpy(by_turns(rows))
            for rows in (
                [rows[:count] for rows, count in zip(drawn, held, strict=True)],
                [rows[count:] for rows, count in zip(drawn, held, strict=True)],
            )
        ]
        val, train = (Split(images[rows], labels[rows]) for rows in parts)
        return SearchSplits(train, val, self.data_hash, fold, self.info)


class Thirds(NamedTuple):
    """Row numbers of the three parts of the 60,000 training images."""

    train: np.ndarray
    val: np.ndarray
    gate: np.ndarray


def load_search_splits(data: Path | DataSet | None = None) -> SearchSplits:
    """Find, verify and split the data: 50,000 training and 5,000 validation images of
    Fashion-MNIST, or those of a data set of one's own.

    Raises MissingDataError if no data are found, and BrokenDataError, naming the file, if the
    content is not Fashion-MNIST's or no data set.
    """
    if isinstance(data, DataSet):
        own = own_data.read(data)
        train, val = own.splits["train"], own.splits["val"]
        return SearchSplits(train, val, own.data_hash, info=own.info, notes=own.notes)
    arrays = sources.read("train", data)
    digests = sources.row_digests(arrays)
    rows = partition(arrays.labels, digests)
    return SearchSplits(
        train=take(arrays, rows.train), val=take(arrays, rows.val), data_hash=data_hash(digests)
    )


def load_or_download(
    data: Path | DataSet | None = None, mirrors: Sequence[str] = download.MIRRORS
) -> SearchSplits:
    """Like `load_search_splits`, but download missing files into the user's cache first.

    Never downloads if a folder is named by argument or FASHION_HPO_DATA.
    """
    if isinstance(data, DataSet):
        return load_search_splits(data)
    if sources.asked_folder(data) is None and _needs_download():
        download.fetch(sources.cache_folder(), mirrors)
    return load_search_splits(data)


def chosen_data(
    path: Path | None, name: str | None = None, skip_bad: bool = False
) -> Path | DataSet | None:
    """What --data, --data-name and --skip-bad mean: a data set of one's own if its form or a name
    says so, else the folder of Fashion-MNIST's files."""
    if path is not None and (name or (not sources.has_files(path) and own_data.is_own(path))):
        return DataSet(str(path), name or "", skip_bad)
    if name or skip_bad:
        option = "--data-name" if name else "--skip-bad"
        raise ValueError(f"{option} needs --data with a data set of your own; name it.")
    return path


def partition(labels: np.ndarray, digests: list[bytes]) -> Thirds:
    """Split the rows by content, stratified by class.  The order of the training rows makes every
    prefix stratified too, to within one image per class."""
    ranked = np.stack([_ranked(labels, digests, label) for label in range(10)], axis=1)
    held = PER_CLASS_HELD_OUT
    gate, val, train = ranked[:held], ranked[held : 2 * held], ranked[2 * held :]
    return Thirds(train=train.ravel(), val=val.ravel(), gate=gate.ravel())


def take(arrays: Arrays, rows: np.ndarray) -> Split:
    """The given rows as tensors."""
    labels = torch.from_numpy(arrays.labels[rows].astype(np.int64))
    return Split(torch.from_numpy(arrays.images[rows]), labels)


def data_hash(digests: list[bytes]) -> str:
    """sha256 of the sorted row digests: covers all bytes, independent of the rows' order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _needs_download() -> bool:
    """Whether there are no files, or only part of an interrupted download."""
    try:
        folder = sources.find()
    except MissingDataError:
        return True
    return folder == sources.cache_folder() and sources.is_partial(folder)


def _ranked(labels: np.ndarray, digests: list[bytes], label: int) -> np.ndarray:
    rows = np.flatnonzero(labels == label)
    return np.array(sorted(rows, key=lambda row: digests[row]))
