import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment.geometry import (
    Affine,
    Flip,
    PixelShift,
    as_bytes,
    centred_maps,
    inside,
    warp,
)
from fashion_hpo.training.augment.rows import rows_of

PICTURE = np.array(
    [
        [10, 20, 30, 40],
        [50, 60, 70, 80],
        [90, 100, 110, 120],
        [130, 140, 150, 160],
    ],
    dtype=np.uint8,
)
ODD = PICTURE[:3, :3].copy()


def warped(
    picture: np.ndarray,
    *,
    angle: float = 0.0,
    shear: float = 0.0,
    zoom: float = 1.0,
    right: float = 0.0,
    down: float = 0.0,
) -> np.ndarray:
    each = [torch.tensor([value]) for value in (angle, shear, zoom, right, down)]
    found: np.ndarray = warp(torch.from_numpy(picture)[None], centred_maps(*each))[0].numpy()
    return found


def noise(count: int, *, same: bool = False) -> Tensor:
    drawn = np.random.default_rng(0).integers(256, size=(1 if same else count, 28, 28))
    return torch.from_numpy(drawn.astype(np.uint8)).expand(count, -1, -1)


def test_a_map_that_changes_nothing_changes_nothing() -> None:
    assert (warped(PICTURE) == PICTURE).all()


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_a_quarter_turn_is_counter_clockwise(quarters: int) -> None:
    found = warped(PICTURE, angle=quarters * math.pi / 2)
    assert (found == np.rot90(PICTURE, quarters)).all()


def test_a_shift_by_whole_pixels_moves_them_and_leaves_black() -> None:
    expected = np.zeros_like(PICTURE)
    expected[:, 1:] = PICTURE[:, :3]
    assert (warped(PICTURE, right=0.25) == expected).all()
    expected = np.zeros_like(PICTURE)
    expected[2:] = PICTURE[:2]
    assert (warped(PICTURE, down=0.5) == expected).all()


def test_a_shift_by_half_a_pixel_is_the_mean_of_neighbours() -> None:
    found = warped(PICTURE, right=-0.125)
    assert found[0].tolist() == [15, 25, 35, 20]
    assert found[3].tolist() == [135, 145, 155, 80]


def test_zoom_enlarges_about_the_centre() -> None:
    """Pixel i of the result shows the place (i − 1.5) / 2 + 1.5 of the image."""
    places = (np.arange(4) - 1.5) / 2 + 1.5
    along = np.array([np.interp(places, np.arange(4), row) for row in PICTURE.astype(float)])
    expected = np.array([np.interp(places, np.arange(4), column) for column in along.T]).T
    np.testing.assert_allclose(warped(PICTURE, zoom=2.0), expected, atol=0.5)


def test_zoom_below_1_leaves_a_black_frame() -> None:
    found = warped(np.full((4, 4), 200, dtype=np.uint8), zoom=0.5)
    assert found.tolist() == [[0, 0, 0, 0], [0, 200, 200, 0], [0, 200, 200, 0], [0, 0, 0, 0]]


def test_shear_moves_rows_against_each_other() -> None:
    """At 45 degrees, each row by one pixel more than the row above it."""
    found = warped(ODD, shear=math.pi / 4)
    assert found.tolist() == [[20, 30, 0], [50, 60, 70], [0, 90, 100]]


def test_rotation_comes_after_shear_and_before_shift() -> None:
    turned = np.rot90(warped(ODD, shear=math.pi / 4))
    expected = np.zeros_like(ODD)
    expected[:, 1:] = turned[:, :2]
    found = warped(ODD, shear=math.pi / 4, angle=math.pi / 2, right=1 / 3)
    np.testing.assert_allclose(found, expected, atol=1)


@pytest.mark.parametrize("option", [
    {"rotation": 10}, {"shift": 0.1}, {"zoom": 0.1}, {"shear": 10},
    {"rotation": 10, "shift": 0.1, "zoom": 0.1, "shear": 10},
])  # fmt: skip
def test_each_image_has_its_own_map(option: dict[str, Any]) -> None:
    images = noise(60, same=True)
    affine = Affine(TrainConfig(**option), 60, epoch=1)
    found = affine(images, rows_of(np.arange(60)))
    assert len(np.unique(found.numpy(), axis=0)) == 60
    assert found.dtype == torch.uint8


def test_amounts_are_uniform_over_their_range() -> None:
    config = TrainConfig(rotation=10, shift=0.2, zoom=0.3)
    maps = Affine(config, 5_000, epoch=1).maps
    zoom = 1 / torch.linalg.det(maps[:, :, :2]).sqrt()
    angle = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 1, 1]))
    shift = -torch.linalg.solve(maps[:, :, :2], maps[:, :, 2]) / 2
    for values, most in ((zoom - 1, 0.3), (angle, 10), (shift[:, 0], 0.2), (shift[:, 1], 0.2)):
        quarters = torch.histc(values, 4, -most, most)
        assert values.abs().max() <= most * 1.0001
        assert quarters.min() > 1_100
    assert abs(np.corrcoef(np.stack((zoom, angle, *shift.T)))[np.triu_indices(4, 1)]).max() < 0.05


def test_warp_multiplies_every_amount() -> None:
    full, half = (
        {"rotation": 8 * k, "shift": 0.2 * k, "zoom": 0.2 * k, "shear": 10 * k} for k in (1, 0.5)
    )
    maps = Affine(TrainConfig(**half), 50, epoch=1).maps
    torch.testing.assert_close(Affine(TrainConfig(**full, warp=0.5), 50, epoch=1).maps, maps)
    assert not torch.allclose(Affine(TrainConfig(**full), 50, epoch=1).maps, maps)
    identity = torch.eye(3)[:2].expand(50, 2, 3)
    torch.testing.assert_close(Affine(TrainConfig(**full, warp=0), 50, epoch=1).maps, identity)


def test_a_shift_by_pixels_moves_them_unchanged_and_leaves_black() -> None:
    images = noise(2_000)
    config, rows = TrainConfig(shift_pixels=2), rows_of(np.arange(2_000))
    step = PixelShift(config, 2_000, epoch=1)
    found = step(images, rows)
    for before, after, (down, right) in zip(images, found, step.shifts.tolist(), strict=True):
        expected = np.zeros((28, 28), np.uint8)
        moved = before.numpy()[
            max(0, -down) : 28 - max(0, down), max(0, -right) : 28 - max(0, right)
        ]
        expected[max(0, down) :, max(0, right) :][: moved.shape[0], : moved.shape[1]] = moved
        assert (after.numpy() == expected).all()
    for along in step.shifts.T:
        counts = torch.bincount(along + 2, minlength=5)
        assert len(counts) == 5
        assert counts.min() > 320  # of 400 expected


def test_flip_mirrors_with_its_probability() -> None:
    images = noise(2_000)
    found = Flip(TrainConfig(flip=0.3), 2_000, epoch=1)(images, rows_of(np.arange(2_000)))
    mirrored = (found == images.flip(-1)).all(2).all(1)
    assert ((found == images).all(2).all(1) | mirrored).all()
    assert mirrored.float().mean() == pytest.approx(0.3, abs=0.03)
    always = Flip(TrainConfig(flip=1.0), 5, epoch=1)(images[:5], rows_of(np.arange(5)))
    assert torch.equal(always, images[:5].flip(-1))


def test_boxes_hold_their_first_and_not_their_last_row_and_column() -> None:
    found = inside(torch.tensor([[1, 0, 3, 2], [0, 0, 0, 0], [0, 2, 4, 4]]), 4)
    assert found[0].int().tolist() == [[0] * 4, [1, 1, 0, 0], [1, 1, 0, 0], [0] * 4]
    assert found.sum((1, 2)).tolist() == [4, 0, 8]


def test_bytes_are_the_nearest_in_their_range() -> None:
    pixels = torch.tensor([-3.0, 0.4, 0.6, 254.6, 300.0])
    assert as_bytes(pixels).tolist() == [0, 0, 1, 255, 255]
