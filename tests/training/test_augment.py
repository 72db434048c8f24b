import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy, one_hot

from fashion_hpo.training.augment import mix, mixup_lambdas, mixup_loss, partners


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


@pytest.mark.parametrize(
    ("lam", "expected"), [(1.0, [10, 20, 40]), (0.0, [40, 20, 10]), (0.75, [17.5, 20, 32.5])]
)
def test_each_image_is_mixed_with_its_mirror_in_the_batch(
    lam: float, expected: list[float]
) -> None:
    assert mix(torch.tensor([10.0, 20.0, 40.0]), lam).tolist() == expected


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_the_loss_is_that_of_mixed_labels(lam: float, smoothing: float) -> None:
    logits = torch.randn(6, 10, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, 1, 4, 1, 5, 9])
    targets = one_hot(labels, 10).float()
    mixed = lam * targets + (1 - lam) * targets.flip(0)
    expected = cross_entropy(logits, mixed, label_smoothing=smoothing)
    assert mixup_loss(logits, labels, partners(labels), lam, smoothing).item() == pytest.approx(
        expected.item()
    )
