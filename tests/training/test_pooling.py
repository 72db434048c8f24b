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
    drawn = torch.randint(distinct, shape, generator=generator).to(dtype) - distinct // 2
    return drawn.contiguous(memory_format=torch.channels_last).requires_grad_()


def pool(pixels: Tensor, relu: bool = False) -> Tensor:
    """Of a copy: what a network computes may be overwritten."""
    return pooling._pool(pixels.clone(), relu)


def torchs(pixels: Tensor, relu: bool = False) -> Tensor:
    return max_pool2d(pixels, 2).relu() if relu else max_pool2d(pixels, 2)


def gradient_of(pooled: Tensor, pixels: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(pooled.shape, generator=generator).to(pooled.dtype)
    (found,) = torch.autograd.grad(pooled, pixels, drawn)
    return found


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("distinct", [1, 2, 3, 10_000])
@pytest.mark.parametrize("shape", [(3, 5, 4, 6), (2, 1, 2, 2), (1, 32, 28, 28), (64, 64, 14, 14)])
@pytest.mark.parametrize("relu", [False, True])
def test_outputs_and_gradients_are_torchs_to_the_bit(
    shape: tuple[int, ...], distinct: int, dtype: torch.dtype, relu: bool
) -> None:
    pixels = images(*shape, dtype=dtype, distinct=distinct)
    ours, theirs = pool(pixels, relu), torchs(pixels, relu)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient_of(ours, pixels), gradient_of(theirs, pixels))


@pytest.mark.parametrize("height", [7, 8])
@pytest.mark.parametrize("width", [7, 8])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("dtype", [*PRECISIONS, torch.float64])
def test_any_image_is_pooled_as_torch_does(
    height: int,
    width: int,
    training: bool,
    relu: bool,
    layout: torch.memory_format,
    dtype: torch.dtype,
) -> None:
    drawn = torch.randn(3, 4, height, width, generator=torch.Generator().manual_seed(0))
    pixels = drawn.to(dtype).contiguous(memory_format=layout).requires_grad_()
    layer = MaxPool2x2(relu=relu).train(training)
    ours, theirs = layer(pixels.clone()), torchs(pixels, relu)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient_of(ours, pixels), gradient_of(theirs, pixels))


@pytest.mark.parametrize("relu", [True, False])
def test_images_that_no_network_computed_stay_as_they_are(relu: bool) -> None:
    pixels = images(2, 4, 8, 8, dtype=torch.float32, distinct=10)
    before = pixels.detach().clone()
    assert torch.equal(MaxPool2x2(relu=relu)(pixels), torchs(before, relu))
    assert torch.equal(pixels, before)


def test_an_input_that_is_needed_again_is_not_overwritten_unseen() -> None:
    pixels = images(2, 4, 8, 8, dtype=torch.float32, distinct=10)
    computed = pixels.sigmoid()  # whose gradient is taken from what it computed
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        MaxPool2x2()(computed).sum().backward()


def test_gradients_are_taken_once() -> None:
    pooled = pool(images(2, 4, 8, 8, dtype=torch.float32, distinct=10))
    pooled.sum().backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        pooled.sum().backward()


@pytest.mark.parametrize("relu", [True, False])
def test_a_diverged_network_stays_without_a_number(relu: bool) -> None:
    pixels = images(1, 2, 4, 4, dtype=torch.float32, distinct=10).detach()
    pixels[0, 1, 2, 3] = torch.nan
    assert torch.equal(pool(pixels, relu).isnan(), torchs(pixels, relu).isnan())


def test_evaluation_keeps_what_is_no_number_of_either_sign() -> None:
    pixels = torch.full((1, 1, 2, 2), -torch.nan).contiguous(memory_format=torch.channels_last)
    assert MaxPool2x2(relu=True).eval()(pixels).isnan().all()


def test_it_has_no_second_derivative() -> None:
    pixels = images(1, 2, 4, 4, dtype=torch.float32, distinct=10)
    (once,) = torch.autograd.grad(pool(pixels).square().sum(), pixels, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        once.sum().backward()


def test_a_network_shows_what_it_pools_with() -> None:
    assert repr(MaxPool2x2(relu=True)).endswith("relu=True)")
