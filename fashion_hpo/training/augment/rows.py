"""Row numbers of images in their split, and draws, on the images' device."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Rows(NamedTuple):
    """Row numbers (n,), int64, twice: a step that needs sizes reads the host's, and waits for no
    device."""

    host: np.ndarray
    device: Tensor

    def part(self, first: int, end: int) -> "Rows":
        """The rows at some places."""
        return Rows(self.host[first:end], self.device[first:end])


def rows_of(numbers: Tensor | np.ndarray, device: str = "cpu") -> Rows:
    """Row numbers that are on the host, uploaded."""
    host = torch.as_tensor(numbers)
    return Rows(host.numpy(), uploaded(host, device))


def uploaded(values: Tensor, device: str) -> Tensor:
    """A host tensor on the device; the host waits for nothing."""
    if device.startswith("cuda"):
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)
