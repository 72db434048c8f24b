import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, cross_entropy
from torchvision.ops import deform_conv2d as torchvisions

from fashion_hpo.training.architectures import build
from fashion_hpo.training.architectures.deformable_cnn import (
    DeformableConv2d,
    OffsetsPenalised,
    deform_conv2d,
)
from fashion_hpo.training.penalties import logits_and_penalty


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def inputs(reach: float, channels: int = 3) -> list[Tensor]:
    """Images, offsets of `reach` pixels and more, modulators, weight, bias."""
    shapes = [(2, channels, 6, 5), (2, 18, 6, 5), (2, 9, 6, 5), (4, channels, 3, 3), (4,)]
    values = [torch.randn(shape) for shape in shapes]
    values[1] *= reach
    return [value.requires_grad_() for value in values]


def result_and_gradients(outputs: Tensor, arguments: list[Tensor]) -> list[Tensor]:
    weights = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)
    return [outputs, *torch.autograd.grad((outputs * weights).sum(), arguments)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("reach", [0.0, 0.3, 2.0, 20.0])  # 20: nearly all beyond the border
def test_outputs_and_gradients_equal_torchvisions(reach: float, channels: int) -> None:
    arguments = inputs(reach, channels)
    images, offsets, modulators, weight, bias = arguments
    ours = deform_conv2d(*arguments)
    theirs = torchvisions(images, offsets, weight, bias, padding=1, mask=modulators)
    for one, other in zip(
        result_and_gradients(ours, arguments), result_and_gradients(theirs, arguments), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("step", [-2, -1, 0, 1, 2])
def test_whole_steps_to_and_over_the_border_equal_torchvisions(step: int) -> None:
    """There the gradient depends on which side of a pixel is looked at."""
    arguments = inputs(0.0)
    images, offsets, modulators, weight, bias = arguments
    offsets.data += step
    ours = deform_conv2d(*arguments)
    theirs = torchvisions(images, offsets, weight, bias, padding=1, mask=modulators)
    for one, other in zip(
        result_and_gradients(ours, arguments), result_and_gradients(theirs, arguments), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_shifted_tap_reads_the_shifted_image() -> None:
    images, offsets, modulators, weight, bias = inputs(0.0)
    offsets.data[:, 0::2] += 1  # down
    moved = torch.zeros_like(images)
    moved[:, :, :-1] = images[:, :, 1:]
    inner = (..., slice(1, -2), slice(1, -1))
    expected = conv2d(moved, weight, bias, padding=1)
    found = deform_conv2d(images, offsets, torch.ones_like(modulators), weight, bias)
    torch.testing.assert_close(found[inner], expected[inner])


def test_at_first_it_is_the_plain_cnn() -> None:
    images = torch.rand(7, 1, 28, 28)
    torch.manual_seed(1)
    plain = build("cnn")
    torch.manual_seed(1)
    deformable = build("deformable_cnn")
    torch.testing.assert_close(deformable(images), plain(images))


def deformed(offset_penalty: float = 0.0) -> nn.Module:
    """A small network whose offsets are no longer zero."""
    network = build("deformable_cnn", channels=4, hidden=16, offset_penalty=offset_penalty)
    for layer in convolutions(network):
        nn.init.normal_(layer.offsets.weight, std=0.3)
        nn.init.normal_(layer.modulators.weight, std=0.3)
    return network


def penalised(weight: float) -> OffsetsPenalised:
    network = deformed(weight)
    assert isinstance(network, OffsetsPenalised)
    return network


def convolutions(network: nn.Module) -> list[DeformableConv2d]:
    return [layer for layer in network.modules() if isinstance(layer, DeformableConv2d)]


def test_both_convolutions_are_deformable_and_begin_at_zero() -> None:
    layers = convolutions(build("deformable_cnn"))
    assert [(layer.offsets.out_channels, layer.modulators.out_channels) for layer in layers] == [
        (18, 9), (18, 9)
    ]  # fmt: skip
    for layer in layers:
        assert all(not p.any() for p in layer.offsets.parameters())
        assert all(not p.any() for p in layer.modulators.parameters())


def test_the_penalty_is_the_squared_length_of_an_images_offsets() -> None:
    network = penalised(0.5)
    images = torch.rand(6, 1, 28, 28)
    logits, penalty = network.penalised(images)
    torch.testing.assert_close(logits, network(images))
    lengths = images.new_zeros(6)
    for layer in network:
        if isinstance(layer, DeformableConv2d):
            lengths += layer.offsets(images).flatten(1).norm(dim=1) ** 2
        images = layer(images)
    torch.testing.assert_close(penalty, 0.5 * lengths.mean())


def test_the_penalty_alone_reaches_the_offset_convolutions() -> None:
    network = penalised(0.1)
    _, penalty = network.penalised(torch.rand(6, 1, 28, 28))
    penalty.backward()
    for layer in convolutions(network):
        assert layer.offsets.weight.grad is not None
        assert layer.offsets.weight.grad.abs().sum() > 0
    assert convolutions(network)[1].convolution.weight.grad is None


def test_a_penalised_loss_shortens_the_offsets() -> None:
    images, labels, lengths = torch.rand(16, 1, 28, 28), torch.arange(16) % 10, []
    for beta in (0.0, 0.1):
        torch.manual_seed(0)
        network = deformed(beta)
        optimizer = torch.optim.SGD(network.parameters(), 1e-3)
        for _ in range(10):
            optimizer.zero_grad()
            logits, penalty = logits_and_penalty(network, images, head_l2=0.0)
            loss = cross_entropy(logits, labels)
            (loss if penalty is None else loss + penalty).backward()
            optimizer.step()
        first = convolutions(network)[0]
        lengths.append(first.offsets(images).detach().norm())
    assert lengths[1] < 0.7 * lengths[0]


def test_there_is_a_penalty_only_if_its_weight_is_not_zero() -> None:
    assert isinstance(build("deformable_cnn", offset_penalty=0.5), OffsetsPenalised)
    free = build("deformable_cnn")
    assert logits_and_penalty(free, torch.rand(2, 1, 28, 28), head_l2=0.0)[1] is None


def test_a_network_can_be_copied_after_a_forward_pass() -> None:
    network = penalised(0.5)
    network.penalised(torch.rand(2, 1, 28, 28))
    assert len(copy.deepcopy(network).state_dict()) == len(network.state_dict())


def test_offsets_that_are_no_numbers_give_logits_that_are_none() -> None:
    """The trial is then said to have diverged, where an index out of range would fail it."""
    network = deformed()
    convolutions(network)[1].offsets.weight.data.fill_(float("nan"))
    assert network(torch.rand(2, 1, 28, 28)).isnan().all()
    convolutions(network)[1].offsets.weight.data.fill_(1e30)
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 10)


def test_the_exported_network_reads_the_same_places() -> None:
    """It reads them in another way, which the catalogue's suite sees at offsets of zero alone."""
    network = deformed().eval()
    images = torch.rand(64, 1, 28, 28)
    assert convolutions(network)[1].offsets(torch.rand(1, 4, 14, 14)).abs().max() > 1
    batch = torch.export.Dim("batch")
    program = torch.export.export(network, (images[:2],), dynamic_shapes=({0: batch},))
    for size in (1, 7, 64):
        found = program.module()(images[:size])
        torch.testing.assert_close(found, network(images[:size]), atol=1e-5, rtol=1e-4)
