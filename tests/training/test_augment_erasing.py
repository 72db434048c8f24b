import numpy as np
import pytest
import torch

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.erasing import Erasing, boxes
from fashion_hpo.training.augment.rows import rows_of

GREY = 77


def erased(probability: float, count: int, epoch: int = 1) -> torch.Tensor:
    images = torch.full((count, 28, 28), GREY, dtype=torch.uint8)
    return Erasing(TrainConfig(erasing=probability), count, epoch)(
        images, rows_of(np.arange(count))
    )


def test_a_rectangle_becomes_noise_and_nothing_else() -> None:
    config = TrainConfig(erasing=1.0)
    found = erased(1.0, 50)
    for image, box in zip(found, Erasing(config, 50, epoch=1).boxes.tolist(), strict=True):
        top, left, bottom, right = box
        inner = image[top:bottom, left:right]
        assert inner.numel() > 10
        assert (inner != GREY).float().mean() > 0.9  # noise may be grey too
        assert inner.float().std() > 40
        outer = image.clone()
        outer[top:bottom, left:right] = GREY
        assert (outer == GREY).all()


def test_it_comes_with_its_probability_and_each_is_another() -> None:
    found = erased(0.3, 2_000)
    changed = (found != GREY).any(2).any(1)
    assert changed.float().mean() == pytest.approx(0.3, abs=0.03)
    assert len(np.unique(found[changed].numpy(), axis=0)) == changed.sum()


def test_boxes_by_hand() -> None:
    """Area 0.02 to 0.4 of 784 pixels, aspect 0.3 to 3.33; a side is the root of area times aspect,
    or area by aspect; the corner is anywhere where the box fits."""
    drawn = np.array(
        [
            [0.0, 0.0, 0.0, 0.0, 0.0],  # 15.68 pixels at 0.3: 2.17 by 7.23
            [0.0, 1.0, 1.0, 0.0, 0.999],  # 313.6 pixels at 3.33: 32.3, cut to 28, by 9.7
            [0.5, 1.0, 1.0, 0.0, 0.0],  # not erased
            [0.499, 0.5, 0.259259, 0.5, 0.5],  # 164.64 pixels at 1.0863: 13.4 by 12.3
        ]
    )
    found = boxes(drawn, 0.5)
    assert found[[0, 1, 3]].tolist() == [[0, 0, 2, 7], [0, 18, 28, 28], [8, 8, 21, 20]]
    assert (found[2, 2:] == found[2, :2]).all()


def test_boxes_stay_in_the_image_and_cover_what_the_paper_says() -> None:
    found = boxes(np.random.default_rng(0).random((20_000, 5)), 1.0)
    height, width = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    assert found.min() == 0
    assert found.max() == 28
    share = height * width / 784
    assert 0.014 < share.min() < 0.025
    assert 0.39 < share.max() < 0.43
    assert share.mean() == pytest.approx(0.21, abs=0.01)
    corner = found[:, 0][height == 8]
    assert set(corner) == set(range(21))  # wherever it fits
