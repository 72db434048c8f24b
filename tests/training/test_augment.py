"""What holds for every augmentation."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment import Mixing, apply, steps
from fashion_hpo.training.augment.erasing import Erasing
from fashion_hpo.training.augment.examples import AMOUNTS, EPOCHS, examples
from fashion_hpo.training.augment.geometry import Affine, Flip
from fashion_hpo.training.augment.randaugment import OPERATIONS, RandAugment
from fashion_hpo.training.augment.rows import rows_of
from fashion_hpo.training.data import SearchSplits

OPTIONS: list[dict[str, Any]] = [
    {"rotation": 30}, {"shift": 0.2}, {"zoom": 0.3}, {"shear": 20}, {"flip": 0.5},
    {"shift_pixels": 2}, {"rotation": 30, "warp": 0.5},
    {"randaugment_operations": 3, "randaugment_magnitude": 30}, {"erasing": 0.5},
    {"rotation": 10, "shift": 0.1, "zoom": 0.1, "flip": 0.5, "randaugment_operations": 2,
     "erasing": 0.3},
]  # fmt: skip

each_option = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: " ".join(option))


def augmented(
    images: Tensor, rows: np.ndarray, *, of: int = 400, epoch: int = 1, **option: Any
) -> Tensor:
    found = images[torch.from_numpy(rows)]
    for step in steps(TrainConfig(**option), of, epoch):
        found = step(found, rows_of(rows))
    return found


@each_option
def test_images_are_changed_and_stay_bytes(option: dict[str, Any], splits: SearchSplits) -> None:
    before = splits.train.images.clone()
    found = augmented(before, np.arange(400), **option)
    assert (found.dtype, found.shape) == (torch.uint8, before.shape)
    assert (found != before).any(2).any(1).float().mean() > 0.3
    assert torch.equal(before, splits.train.images)


@each_option
def test_an_image_is_the_same_in_every_batch(option: dict[str, Any], splits: SearchSplits) -> None:
    images = splits.train.images
    whole = augmented(images, np.arange(400), **option)
    shuffled = np.random.default_rng(0).permutation(400)
    for rows in np.array_split(shuffled, 7):
        assert torch.equal(augmented(images, rows, **option), whole[torch.from_numpy(rows)])


@each_option
def test_draws_depend_on_seed_and_epoch_alone(option: dict[str, Any], splits: SearchSplits) -> None:
    images, rows = splits.train.images, np.arange(100)
    first = augmented(images, rows, **option)
    torch.rand(3)
    np.random.default_rng().random()
    assert torch.equal(first, augmented(images, rows, **option))
    assert torch.equal(first, augmented(images, rows, of=100, **option))  # a subset of the images
    assert not torch.equal(first, augmented(images, rows, epoch=2, **option))
    assert not torch.equal(first, augmented(images, rows, seed=1, **option))


def test_one_option_does_not_change_the_draws_of_another(splits: SearchSplits) -> None:
    images, rows = splits.train.images, np.arange(100)
    flipped = augmented(images, rows, flip=0.5)
    erased = augmented(flipped, rows, erasing=0.5)
    assert torch.equal(augmented(images, rows, flip=0.5, erasing=0.5), erased)


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    assert steps(TrainConfig(), 100, epoch=1) == []
    assert steps(TrainConfig(randaugment_magnitude=30), 100, epoch=1) == []
    assert steps(TrainConfig(rotation=1, shift=0.1, zoom=0.1, shear=1, warp=0), 100, epoch=1) == []
    assert len(steps(TrainConfig(rotation=1, shear=1, flip=1), 100, epoch=1)) == 2


def test_examples_show_each_option_that_is_on(splits: SearchSplits) -> None:
    images = splits.train.first(4)
    shown = dict(examples(TrainConfig(**{**AMOUNTS, "zoom": 0.0}), images))
    names = {title.partition(" ")[0].rstrip(",") for title in shown}
    assert names == {"as", "all", *AMOUNTS, *OPERATIONS} - {"zoom"}
    plain = shown.pop("as they are")
    assert (plain == images.images.numpy()).all()
    for title, pictures in shown.items():
        assert (pictures.dtype, pictures.shape) == (np.uint8, (EPOCHS, 4, 28, 28))
        same = title.startswith(("Identity", "Color"))
        assert (pictures == plain).all() == same
        assert (
            same
            or title.startswith(("AutoContrast", "Equalize", "Solarize", "Posterize"))
            or (len(np.unique(pictures, axis=0)) > 1)
        )  # signs and draws differ between epochs


def test_examples_of_nothing_are_the_images(splits: SearchSplits) -> None:
    shown = dict(examples(TrainConfig(), splits.train.first(4)))
    assert set(shown) == {"as they are", "all of these"}
    assert (shown["all of these"] == shown["as they are"]).all()


def test_draws_are_pinned() -> None:
    """Others would change every augmented result that was ever logged."""
    config = TrainConfig(
        rotation=10, shift=0.1, zoom=0.1, shear=10, flip=0.5, randaugment_operations=2, erasing=1,
        cutmix_alpha=1, mixup_alpha=0.4, mixup_per_image=True, seed=3,
    )  # fmt: skip
    (affine,) = Affine(config, 1, epoch=2).maps.tolist()
    assert affine[0] == pytest.approx([0.9166, 0.0784, 0.1188], abs=1e-4)
    assert affine[1] == pytest.approx([0.0097, 0.9157, 0.0081], abs=1e-4)
    assert Flip(config, 8, epoch=2).chosen.nonzero().flatten().tolist() == [0, 5]
    operations = RandAugment(config, 4, epoch=2)
    assert operations.operations.tolist() == [[12, 13], [9, 12], [3, 0], [11, 1]]
    assert (operations.strengths > 0).tolist() == [
        [True, False], [True, True], [False, False], [True, False]
    ]  # fmt: skip
    erasing = Erasing(config, 2, epoch=2)
    assert erasing.boxes.tolist() == [[13, 11, 22, 16], [19, 13, 24, 17]]
    assert erasing.noise[0, 0, :4].tolist() == [135, 53, 149, 190]
    mixing = Mixing(config, 3, 8, epoch=2)
    assert mixing.lambdas == pytest.approx([0.76058775, 0.11245822, 0.00636147])
    assert mixing.boxes[:2].tolist() == [[16, 14, 28, 28], [1, 0, 7, 3]]
    assert mixing.cuts.nonzero()[0].tolist() == [0, 3, 5]


@each_option
def test_colour_images_are_changed_in_each_channel_by_the_same_draws(
    option: dict[str, Any], splits: SearchSplits
) -> None:
    grey, rows = splits.train.images[:50], rows_of(np.arange(50))
    colours = torch.stack((grey, 255 - grey, grey), dim=1)
    for step in steps(TrainConfig(**option), 400, 1):
        grey, colours = apply(step, grey, rows), apply(step, colours, rows)
    assert colours.shape == (50, 3, 28, 28)
    assert torch.equal(colours[:, 0], grey)
    assert torch.equal(colours[:, 2], grey)
    assert not torch.equal(colours[:, 1], grey)
