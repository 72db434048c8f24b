"""The fourteen operations against torchvision's, image by image, and against hand-made pictures."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import RandAugment as OneByOne
from torchvision.transforms.autoaugment import _apply_op

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.randaugment import (
    OPERATIONS,
    RandAugment,
    apply,
    group_sizes,
)
from fashion_hpo.training.augment.rows import rows_of
from fashion_hpo.training.data import SearchSplits

NAMES = [*OPERATIONS]
UNSIGNED = {"Identity", "AutoContrast", "Equalize", "Solarize", "Posterize"}
EXACT = UNSIGNED - {"AutoContrast"} | {"Color", "TranslateX", "TranslateY"}
AT_MOST_ONE_LEVEL = {"AutoContrast", "Contrast", "Brightness", "Sharpness"}  # cut off there


def pictures() -> Tensor:
    """Ramps, noise of narrow and wide ranges, an even one and a black one."""
    draw = np.random.default_rng(0)
    ramp = np.add.outer(np.arange(28) * 5, np.arange(28) * 4)
    made = [
        ramp, ramp.T[::-1], draw.integers(256, size=(28, 28)), draw.integers(90, 120, (28, 28)),
        np.where(draw.random((28, 28)) < 0.6, 0, draw.integers(256, size=(28, 28))),
        np.full((28, 28), 77), np.zeros((28, 28)),
    ]  # fmt: skip
    return torch.from_numpy(np.stack(made).astype(np.uint8))


def operated(name: str, images: Tensor, strength: float) -> Tensor:
    n = len(images)
    return each_operated(images, np.full(n, NAMES.index(name)), torch.full((n,), strength))


def each_operated(images: Tensor, operations: np.ndarray, strengths: Tensor) -> Tensor:
    return apply(images, group_sizes(operations), torch.from_numpy(operations), strengths)


def torchvisions(name: str, images: Tensor, magnitude: int, sign: int) -> Tensor:
    amounts, signed = OneByOne()._augmentation_space(31, (28, 28))[name]
    assert signed == (name not in UNSIGNED)
    amount = float(amounts[magnitude]) if amounts.ndim else 0.0
    amount *= sign if signed else 1
    bilinear = InterpolationMode.BILINEAR
    done = [_apply_op(image[None], name, amount, bilinear, None) for image in images]
    return torch.cat(done)


def test_the_fourteen_operations_are_torchvisions() -> None:
    assert set(NAMES) == set(OneByOne()._augmentation_space(31, (28, 28)))
    assert len(NAMES) == 14


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("magnitude", [0, 1, 9, 17, 30])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_is_torchvisions(name: str, magnitude: int, sign: int) -> None:
    images = pictures()
    found = operated(name, images, sign * magnitude / 30).int()
    expected = torchvisions(name, images, magnitude, sign).int()
    allowed = 0 if name in EXACT else 1
    assert (found - expected).abs().max() <= allowed
    assert found.shape == images.shape
    if magnitude == 9 and name not in ("Identity", "Color"):
        assert not torch.equal(found, images.int())


SMALL = torch.tensor([[[50, 100], [150, 200]]], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("name", "strength", "expected"),
    [
        ("Identity", 1.0, [50, 100, 150, 200]),
        ("Color", 1.0, [50, 100, 150, 200]),
        ("AutoContrast", 1.0, [0, 85, 170, 255]),
        ("Solarize", 0.5, [50, 100, 105, 55]),  # from 127.5 on
        ("Posterize", -1.0, [48, 96, 144, 192]),  # four bits
        ("Brightness", 1.0, [95, 190, 255, 255]),  # times 1.9
        ("Brightness", -1.0, [5, 10, 15, 20]),
        ("Contrast", -0.5, [84, 111, 139, 166]),  # 0.55 of the distance from 125
    ],
)
def test_small_pictures_by_hand(name: str, strength: float, expected: list[int]) -> None:
    assert operated(name, SMALL, strength).flatten().tolist() == expected


def test_equalize_by_hand() -> None:
    """784 pixels, a third each of 10, 20 and 30 and one of 40: a step is (784 − 1) // 255 = 3, and
    a level becomes (pixels below it + 1) // 3, at most 255."""
    levels = torch.tensor([10] * 261 + [20] * 261 + [30] * 261 + [40]).to(torch.uint8)
    found = operated("Equalize", levels.view(1, 28, 28), 0.3).flatten()
    assert found[[0, 261, 522, 783]].tolist() == [0, 87, 174, 255]


def test_sharpness_by_hand() -> None:
    """A single bright pixel: smoothed, it keeps 5/13; sharpened by 1.9, it is cut off at 255."""
    image = torch.zeros(1, 28, 28, dtype=torch.uint8)
    image[0, 10, 10] = 130
    dull = operated("Sharpness", image, -1.0)[0]
    assert dull[10, 10] == 58  # 50 + 0.1 · 80
    assert dull[9, 10] == 9  # 0.9 · 10
    assert dull[8, 10] == 0
    sharp = operated("Sharpness", image, 1.0)[0]
    assert sharp[10, 10] == 202  # 50 + 1.9 · 80
    assert sharp[9, 10] == 0


def test_translation_at_magnitude_9_is_by_three_pixels() -> None:
    image = torch.from_numpy(np.random.default_rng(1).integers(256, size=(1, 28, 28)))
    image = image.to(torch.uint8)
    right = operated("TranslateX", image, 9 / 30)
    assert torch.equal(right[:, :, 3:], image[:, :, :-3])
    assert not right[:, :, :3].any()
    up = operated("TranslateY", image, -9 / 30)
    assert torch.equal(up[:, :-3], image[:, 3:])


def test_a_shear_keeps_its_edge() -> None:
    image = pictures()[2:3]
    assert (operated("ShearX", image, 1.0)[0, 0].int() - image[0, 0].int()).abs().max() < 50
    for name in ("ShearX", "ShearY"):
        white = torch.full((1, 28, 28), 255, dtype=torch.uint8)
        found = operated(name, white, 1.0)[0]
        lost = found if name == "ShearX" else found.T
        dark = (lost < 128).sum(1)  # row i has moved by 0.3 · (i + 0.5) pixels
        assert dark.tolist() == [round(0.3 * (i + 0.5)) for i in range(28)]


def test_images_of_a_batch_have_their_own_operations() -> None:
    image = pictures()[1:2].expand(64, -1, -1)
    chosen = np.arange(64) % 14
    strengths = torch.where(torch.arange(64) % 3 == 0, 0.3, -0.6)
    found = each_operated(image, chosen, strengths)
    for at in range(64):
        alone = operated(NAMES[chosen[at]], image[:1], float(strengths[at]))
        assert torch.equal(found[at], alone[0])


def test_a_batch_is_varied(splits: SearchSplits) -> None:
    same = splits.train.images[:1].expand(200, -1, -1)
    found = RandAugment(TrainConfig(randaugment_operations=2), 200, epoch=1)(
        same, rows_of(np.arange(200))
    )
    assert len(np.unique(found.numpy(), axis=0)) > 60


def test_operations_and_signs_have_equal_chances() -> None:
    config = TrainConfig(randaugment_operations=3, randaugment_magnitude=12)
    drawn = RandAugment(config, 14_000, epoch=1)
    counts = np.bincount(drawn.operations.ravel(), minlength=14)
    assert abs(counts - 3_000).max() < 250
    assert set(np.unique(drawn.strengths)) == {np.float32(-0.4), np.float32(0.4)}
    assert drawn.strengths.mean().item() == pytest.approx(0, abs=0.01)
    assert (drawn.operations[:, 0] != drawn.operations[:, 1]).mean() == pytest.approx(
        13 / 14, abs=0.01
    )
