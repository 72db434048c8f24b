"""Examples of each augmentation on the same few images, for a page to look at."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment import Mixing, rows_of, steps
from fashion_hpo.training.augment.geometry import as_bytes
from fashion_hpo.training.augment.randaugment import OPERATIONS, RandAugment, apply, group_sizes
from fashion_hpo.training.data import Split

EPOCHS = 3  # draws of each image
AMOUNTS: Mapping[str, float] = {
    "rotation": 10.0, "shift": 0.1, "zoom": 0.1, "shear": 10.0, "shift_pixels": 2, "flip": 0.5,
    "randaugment_operations": 2, "erasing": 0.5, "mixup_alpha": 1.0, "cutmix_alpha": 1.0,
}  # fmt: skip
"""Default amounts: the reports', or enough to be visible."""

Draw = Callable[[int], Tensor]  # an epoch to uint8 (n, 28, 28)


def examples(config: TrainConfig, split: Split) -> Iterator[tuple[str, np.ndarray]]:
    """For each augmentation that is on in the config, a title and uint8 (EPOCHS, n, 28, 28).

    `split` has the images to show, on the CPU, as one batch.
    """
    yield "as they are", _drawn(lambda epoch: split.images)
    off = config.replace(**dict.fromkeys(AMOUNTS, 0))
    for name in AMOUNTS:
        value = getattr(config, name)
        if not value:
            continue
        alone = off.replace(**{name: value})
        if name == "randaugment_operations":
            for operation in OPERATIONS:
                title = f"{operation}, M = {config.randaugment_magnitude}"
                yield title, _drawn(partial(operated, alone, split, operation))
        yield f"{name} = {value:g}", _drawn(partial(augmented, alone, split))
    yield "all of these", _drawn(partial(augmented, config, split))


def augmented(config: TrainConfig, split: Split, epoch: int) -> Tensor:
    """The images as a network would see them in an epoch, as uint8 (n, 28, 28)."""
    images, rows = split.images, rows_of(np.arange(len(split)))
    for step in steps(config, len(split), epoch):
        images = step(images, rows)
    mixing = Mixing(config, len(split), batches=1, epoch=epoch)
    pixels = images.unsqueeze(1).float()
    return as_bytes(mixing(pixels, split.labels, rows, 0).pixels.squeeze(1))


def operated(config: TrainConfig, split: Split, operation: str, epoch: int) -> Tensor:
    """The images after one operation of RandAugment, with random signs."""
    strengths = RandAugment(config, len(split), epoch).strengths[:, 0]
    chosen = np.full(len(split), [*OPERATIONS].index(operation))
    return apply(split.images, group_sizes(chosen), torch.from_numpy(chosen), strengths)


def _drawn(draw: Draw) -> np.ndarray:
    return torch.stack([draw(epoch) for epoch in range(1, EPOCHS + 1)]).numpy()
