"""Detect that memory ran out, and release what can be released."""

import ctypes
import gc
import os

import torch
from torch import nn

from fashion_hpo.training.devices import Hardware

SMALLER = 4  # divides the batch size at the second try
SMALLEST = 3  # smallest micro-batch: an even split then leaves the two images batch norm needs
EXHAUSTED = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "could not create a memory",  # oneDNN
    "could not create a primitive",  # oneDNN
    "Resource temporarily unavailable",  # no memory for a thread's stack
)


def is_exhausted(error: Exception) -> bool:
    """Whether the error means that memory ran out; torch's CPU allocator raises RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in EXHAUSTED)


def release(hardware: Hardware) -> None:
    """Release the memory of the failed training, to the system too: threads and generated code
    need memory from there, not from the allocator."""
    gc.collect()
    if os.name == "posix" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # glibc's
        libc.malloc_trim(0)
    if hardware.device_type == "cuda":
        torch.cuda.empty_cache()


def depends_on_batch(model: nn.Module) -> bool:
    """Whether the network has batch norm, so that results depend on the micro-batch."""
    norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
    return any(isinstance(part, norms) for part in model.modules())
