import pytest
import torch
from torch import Tensor
from torch.nn.functional import max_pool2d

from fashion_hpo.training.architectures import pooling
from fashion_hpo.training.architectures.pooling import MaxPool2x2

PRECISIONS = [torch.float32, torch.bfloat16]


def images(*shape: int, dtype: torch.dtype, distinct: int) -> Tensor:
    """Channels-last images of so many distinct values: with few, most windows have ties."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(distinct, shape, generator=generator).to(dtype) - distinct / 2
    return drawn.contiguous(memory_format=torch.channels_last).requires_grad_()


def gradient_of(pooled: Tensor, pixels: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(pooled.shape, generator=generator).to(pooled.dtype)
    (found,) = torch.autograd.grad(pooled, pixels, drawn)
    return found


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("distinct", [1, 2, 3, 10_000])
@pytest.mark.parametrize("shape", [(3, 5, 4, 6), (2, 1, 2, 2), (1, 32, 28, 28), (64, 64, 14, 14)])
def test_outputs_and_gradients_are_torchs_to_the_bit(
    shape: tuple[int, ...], distinct: int, dtype: torch.dtype
) -> None:
    pixels = images(*shape, dtype=dtype, distinct=distinct)
    ours, theirs = pooling._pool(pixels), max_pool2d(pixels, 2)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient_of(ours, pixels), gradient_of(theirs, pixels))


@pytest.mark.parametrize("height", [7, 8])
@pytest.mark.parametrize("width", [7, 8])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_any_image_is_pooled_as_torch_does(
    height: int, width: int, training: bool, layout: torch.memory_format
) -> None:
    pixels = torch.randn(3, 4, height, width).contiguous(memory_format=layout).requires_grad_()
    layer = MaxPool2x2().train(training)
    ours, theirs = layer(pixels), max_pool2d(pixels, 2)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient_of(ours, pixels), gradient_of(theirs, pixels))


def test_a_diverged_network_stays_without_a_number() -> None:
    pixels = images(1, 2, 4, 4, dtype=torch.float32, distinct=10).detach()
    pixels[0, 1, 2, 3] = torch.nan
    assert torch.equal(pooling._pool(pixels).isnan(), max_pool2d(pixels, 2).isnan())


def test_it_has_no_second_derivative() -> None:
    pixels = images(1, 2, 4, 4, dtype=torch.float32, distinct=10)
    (once,) = torch.autograd.grad(pooling._pool(pixels).square().sum(), pixels, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()
