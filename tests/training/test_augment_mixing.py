from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.augment import Batch, Mixing
from fashion_hpo.training.augment.mixing import (
    cut,
    cutmix_boxes,
    mix,
    mixed_loss,
    mixup_lambdas,
    own_share,
    partners,
)
from fashion_hpo.training.augment.rows import rows_of

LABELS = torch.tensor([3, 1, 4, 1, 5, 9])


def logits() -> Tensor:
    return torch.randn(6, 10, generator=torch.Generator().manual_seed(0))


def mixed(number: int = 0, *, images: int = 400, **options: Any) -> Batch:
    """Batch `number` of 20 in epoch 2: image i is full of the number i."""
    rows = np.arange(20 * number, 20 * number + 20)
    pixels = torch.from_numpy(rows).float()[:, None, None, None].expand(-1, 1, 28, 28)
    mixing = Mixing(TrainConfig(**options), images, 20, epoch=2)
    return mixing(pixels, torch.arange(20) % 10, rows_of(rows), number)


def test_lambdas_are_a_function_of_seed_and_epoch() -> None:
    first = mixup_lambdas(0.4, 50, seed=3, epoch=1)
    assert np.array_equal(first, mixup_lambdas(0.4, 50, seed=3, epoch=1))
    assert np.array_equal(first[:20], mixup_lambdas(0.4, 20, seed=3, epoch=1))
    assert not np.array_equal(first, mixup_lambdas(0.4, 50, seed=3, epoch=2))
    assert not np.array_equal(first, mixup_lambdas(0.4, 50, seed=4, epoch=1))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_lambdas_have_the_moments_of_the_beta_distribution(alpha: float) -> None:
    drawn = mixup_lambdas(alpha, 20_000, seed=0, epoch=1)
    assert drawn.mean() == pytest.approx(0.5, abs=0.01)
    assert drawn.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.05)


def test_alpha_0_mixes_nothing() -> None:
    assert mixup_lambdas(0, 3, seed=0, epoch=1).tolist() == [1, 1, 1]
    assert not cutmix_boxes(0, 3, seed=0, epoch=1).any()


@pytest.mark.parametrize(
    ("lam", "expected"), [(1.0, [10, 20, 40]), (0.0, [40, 20, 10]), (0.75, [17.5, 20, 32.5])]
)
def test_each_image_is_mixed_with_its_mirror_in_the_batch(
    lam: float, expected: list[float]
) -> None:
    images = torch.tensor([10.0, 20.0, 40.0])
    assert mix(images, lam).tolist() == expected
    assert mix(images, torch.full((3,), lam)).tolist() == expected


def test_each_image_may_have_its_own_share() -> None:
    images = torch.tensor([10.0, 20.0, 40.0])[:, None, None, None].expand(-1, 1, 2, 2)
    found = mix(images, torch.tensor([0.5, 0.0, 0.75]))
    assert found[:, 0, 1, 1].tolist() == [25, 20, 32.5]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_the_loss_is_that_of_mixed_labels(lam: float, smoothing: float) -> None:
    targets = one_hot(LABELS, 10).float()
    soft = lam * targets + (1 - lam) * targets.flip(0)
    expected = cross_entropy(logits(), soft, label_smoothing=smoothing).item()
    for share in (lam, torch.full((6,), lam)):
        found = mixed_loss(logits(), LABELS, partners(LABELS), share, smoothing)
        assert found.item() == pytest.approx(expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_own_shares_is_that_of_mixed_labels(smoothing: float) -> None:
    share = torch.tensor([0.1, 0.9, 0.5, 0.0, 1.0, 0.3])
    targets = one_hot(LABELS, 10).float()
    soft = share[:, None] * targets + (1 - share[:, None]) * targets.flip(0)
    expected = cross_entropy(logits(), soft, label_smoothing=smoothing)
    found = mixed_loss(logits(), LABELS, partners(LABELS), share, smoothing)
    assert found.item() == pytest.approx(expected.item())


def test_the_loss_is_the_two_terms_of_the_paper() -> None:
    logs = logits().log_softmax(1)
    own = -sum(logs[i, LABELS[i]] for i in range(6)) / 6
    other = -sum(logs[i, LABELS[5 - i]] for i in range(6)) / 6
    found = mixed_loss(logits(), LABELS, partners(LABELS), 0.3, 0.0)
    assert found.item() == pytest.approx(float(0.3 * own + 0.7 * other))


def test_a_batch_without_mixing_is_as_it_was() -> None:
    batch = mixed(3)
    assert batch.pixels[:, 0, 0, 0].tolist() == list(range(60, 80))
    assert batch.share == 1
    expected = cross_entropy(torch.eye(10), torch.arange(10)).item()
    assert batch.loss(torch.eye(10).repeat(2, 1), 0.0).item() == pytest.approx(expected)


def test_mixup_has_one_share_a_batch_or_one_an_image() -> None:
    whole = mixed(mixup_alpha=1.0)
    assert isinstance(whole.share, float)
    each = mixed(mixup_alpha=1.0, mixup_per_image=True).share
    assert isinstance(each, Tensor)
    assert each.shape == (20,)
    assert len(set(each.tolist())) == 20
    assert whole.share != mixed(1, mixup_alpha=1.0).share
    expected = mixup_lambdas(1.0, 400, seed=0, epoch=2)[20:40]
    later = mixed(1, mixup_alpha=1.0, mixup_per_image=True).share
    assert torch.as_tensor(later).tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("options", [
    {"mixup_alpha": 1.0}, {"mixup_alpha": 1.0, "mixup_per_image": True}, {"cutmix_alpha": 1.0},
])  # fmt: skip
def test_the_share_is_that_of_the_pixels(options: dict[str, Any]) -> None:
    """Image i is full of i, its mirror of 19 - i, so the mean tells the share."""
    batch = mixed(**options)
    own = torch.arange(20.0)
    share = torch.as_tensor(batch.share).expand(20)
    expected = share * own + (1 - share) * own.flip(0)
    torch.testing.assert_close(batch.pixels.mean((1, 2, 3)), expected, rtol=1e-4, atol=1e-3)
    assert batch.labels.tolist() == [*range(10), *range(10)]
    assert batch.partners.tolist() == [*range(9, -1, -1), *range(9, -1, -1)]


def test_an_images_draws_do_not_depend_on_how_many_there_are() -> None:
    for options in ({"cutmix_alpha": 1.0}, {"mixup_alpha": 1.0, "mixup_per_image": True}):
        few, many = mixed(1, images=60, **options), mixed(1, images=400, **options)
        assert torch.equal(few.pixels, many.pixels)


def test_cutmix_pastes_the_box_of_the_partner() -> None:
    images = torch.stack((torch.full((1, 28, 28), 1.0), torch.full((1, 28, 28), 2.0)))
    found = cut(images, torch.tensor([[0, 0, 14, 28], [27, 20, 28, 28]]))
    assert (found[0, 0, :14] == 2).all()
    assert (found[0, 0, 14:] == 1).all()
    assert (found[1] == 1).sum() == 8
    assert (found[1, 0, 27, 20:] == 1).all()


def test_the_share_after_cutmix_is_what_the_border_left() -> None:
    boxes = torch.tensor([[0, 0, 14, 28], [27, 20, 28, 28], [0, 0, 0, 0], [0, 0, 28, 28]])
    assert own_share(boxes).tolist() == pytest.approx([0.5, 1 - 8 / 784, 1, 0])


def test_boxes_are_of_the_size_of_their_share_and_anywhere() -> None:
    boxes = cutmix_boxes(1.0, 5_000, seed=0, epoch=1)
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    assert boxes.min() == 0
    assert boxes.max() == 28
    assert (height >= 0).all()
    square = (boxes > 0).all(1) & (boxes < 28).all(1)  # not cut off
    assert (height[square] == width[square]).all()
    assert set(range(2, 23, 2)) <= set(height[square])
    # λ is uniform for α = 1, so 1 − λ = r², and a box has the side 2·⌊28·r / 2⌋: it is empty for
    # r < 2/28.
    assert (height * width == 0).mean() == pytest.approx((2 / 28) ** 2, abs=0.01)


def test_with_both_a_batch_has_the_one_or_the_other() -> None:
    both: dict[str, Any] = {"mixup_alpha": 1.0, "cutmix_alpha": 1.0}
    kinds = [isinstance(mixed(number, **both).share, float) for number in range(20)]
    assert 4 <= sum(kinds) <= 16
    assert kinds == [isinstance(mixed(number, **both).share, float) for number in range(20)]
    cuts = [Mixing(TrainConfig(**both), 1, 20, epoch).cuts.tolist() for epoch in (2, 3)]
    assert cuts[0] == [not kind for kind in kinds]
    assert cuts[0] != cuts[1]
    for number, kind in enumerate(kinds):
        alone = {"mixup_alpha": 1.0} if kind else {"cutmix_alpha": 1.0}
        assert torch.equal(mixed(number, **both).pixels, mixed(number, **alone).pixels)


@pytest.mark.parametrize("options", [
    {}, {"mixup_alpha": 1.0}, {"mixup_alpha": 1.0, "mixup_per_image": True}, {"cutmix_alpha": 1.0},
])  # fmt: skip
def test_pieces_have_the_loss_of_the_whole(options: dict[str, Any]) -> None:
    batch = mixed(**options)
    drawn = torch.randn(20, 10, generator=torch.Generator().manual_seed(1))
    pieces = list(batch.pieces(3))
    assert [len(piece) for piece in pieces] == [7, 7, 6]
    assert torch.equal(torch.cat([piece.pixels for piece in pieces]), batch.pixels)
    losses = [
        piece.loss(part, 0.1) * len(piece)
        for piece, part in zip(pieces, drawn.tensor_split(3), strict=True)
    ]
    assert sum(losses).item() / 20 == pytest.approx(batch.loss(drawn, 0.1).item())  # type: ignore[union-attr]
