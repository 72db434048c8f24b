"""Random generators keyed by (seed, purpose, epoch): no draw depends on earlier draws."""

import hashlib

import numpy as np
import torch


def key(seed: int, purpose: str, index: int = 0) -> int:
    """A 63-bit hash of (seed, purpose, index)."""
    text = f"{seed}/{purpose}/{index}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1


def torch_generator(seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A CPU generator, so that draws are the same for every device."""
    return torch.Generator().manual_seed(key(seed, purpose, index))


def numpy_generator(seed: int, purpose: str, index: int = 0) -> np.random.Generator:
    """A generator for distributions that torch cannot draw with one, such as beta."""
    return np.random.Generator(np.random.Philox(key=key(seed, purpose, index)))


def seed_default_generator(seed: int, purpose: str, index: int = 0) -> None:
    """Re-seed torch's process-wide generator, which dropout uses on every device."""
    torch.manual_seed(key(seed, purpose, index))


def default_states(device: str) -> tuple[torch.Tensor, ...]:
    """The states of the default generators that a training on this device draws from."""
    states = [torch.get_rng_state()]
    if device.startswith("cuda"):
        states.append(torch.cuda.get_rng_state(device))
    elif device == "mps":
        states.append(torch.mps.get_rng_state())
    return tuple(states)


def restore_default_states(device: str, states: tuple[torch.Tensor, ...]) -> None:
    """Set the default generators to states that `default_states` returned for this device."""
    torch.set_rng_state(states[0])
    if device.startswith("cuda"):
        torch.cuda.set_rng_state(states[1], device)
    elif device == "mps":
        torch.mps.set_rng_state(states[1])
