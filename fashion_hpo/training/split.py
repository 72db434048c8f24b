"""`Split`: some of a data set's images, and their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Split:
    """Images uint8 (N, 28, 28) or (N, 3, 28, 28), and labels int64 (N,), on one device."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, count: int) -> "Split":
        """The first `count` images; of the training split, a nested and stratified subset."""
        return Split(self.images[:count], self.labels[:count])

    def to(self, device: str) -> "Split":
        """A copy on the given device."""
        return Split(self.images.to(device), self.labels.to(device))


def by_turns(classes: Sequence[np.ndarray]) -> np.ndarray:
    """The first row of each class, then the second of each, and so on."""
    rank = np.concatenate([np.arange(len(rows)) for rows in classes])
    return np.concatenate(list(classes))[np.argsort(rank, kind="stable")]
