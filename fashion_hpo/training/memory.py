"""Memory that runs out: how that is told from other errors, and what to do then."""

import ctypes
import gc
import os

import torch
from torch import nn

from fashion_hpo.training.devices import Hardware

SMALLER = 4  # how many times fewer images pass at once at the second try
SMALLEST = 3  # images: even pieces of at most so many have two at least, as a norm needs
EXHAUSTED = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "could not create a memory",  # oneDNN's, as is the next
    "could not create a primitive",
    "Resource temporarily unavailable",  # no room for a thread's stack
)


def is_exhausted(error: Exception) -> bool:
    """Whether an error says that memory ran out; torch's CPU allocator raises RuntimeError."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in EXHAUSTED)


def release(hardware: Hardware) -> None:
    """Give back what the failed training held.

    To the system too: threads and generated code need memory that the allocator does not give.
    """
    gc.collect()
    if os.name == "posix" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # glibc's
        libc.malloc_trim(0)
    if hardware.device_type == "cuda":
        torch.cuda.empty_cache()


def depends_on_batch(model: nn.Module) -> bool:
    """Whether a network normalises over the images that pass together."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules())
