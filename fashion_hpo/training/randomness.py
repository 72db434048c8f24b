"""Every random draw is a function of (seed, purpose, epoch), never of what ran before."""

import hashlib

import numpy as np
import torch


def key(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit number that (seed, purpose, index) alone decide."""
    text = f"{seed}/{purpose}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def torch_generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A CPU generator: drawn there, an order is the same on every device."""
    return torch.Generator().manual_seed(key(seed, purpose, index))


def numpy_generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """For draws that torch offers no generator for, such as the beta distribution."""
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, index)))


def seed_default_generator(seed: int, purpose: str, index: int = 0) -> None:
    """Re-seed torch's process-wide generator, from which dropout draws on every device."""
    torch.manual_seed(key(seed, purpose, index))
