"""Small images that can be learnt, for the suites of several rooms."""

import numpy as np
import torch

from fashion_hpo.training.data import SearchSplits, Split


def search_splits() -> SearchSplits:
    """400 training and 100 validation images, each its class's pattern under noise."""
    return SearchSplits(
        train=noisy_patterns(400, seed=1), val=noisy_patterns(100, seed=2), data_hash="synthetic"
    )


def noisy_patterns(images: int, seed: int) -> Split:
    """Labels 0 to 9 in turn, so that every prefix is stratified."""
    coarse = np.random.default_rng(0).integers(0, 2, size=(10, 7, 7))
    patterns = 120 * coarse.repeat(4, axis=1).repeat(4, axis=2)
    labels = np.arange(images) % 10
    noise = np.random.default_rng(seed).integers(0, 136, size=(images, 28, 28))
    pixels = (patterns[labels] + noise).astype(np.uint8)
    return Split(torch.from_numpy(pixels), torch.from_numpy(labels))
