import pytest
import torch

from fashion_hpo.training.architectures import build, parameter_count, skeleton
from fashion_hpo.training.architectures.resnet18 import BasicBlock


def test_the_small_stem_has_the_published_networks_parameters() -> None:
    """11,173,962 for CIFAR's three colours."""
    small = parameter_count(skeleton("resnet18", {"stem": "small"}))
    assert small == 11_173_962 - 2 * 3 * 3 * 64 == 11_172_810


@pytest.mark.parametrize(
    ("stem", "sides"),
    [("imagenet", [7, 7, 4, 4, 2, 2, 1, 1]), ("small", [28, 28, 14, 14, 7, 7, 4, 4])],
)
@pytest.mark.parametrize("name", ["resnet18", "resnet18_dilated"])
def test_stages_see_smaller_and_smaller_images(name: str, stem: str, sides: list[int]) -> None:
    assert sides_seen(build(name, channels=2, stem=stem)) == sides


@pytest.mark.parametrize("name", ["resnet18_7x7", "resnet18_7x7_dilated"])
def test_7x7_stays_up_to_the_pooling(name: str) -> None:
    assert sides_seen(build(name, channels=2)) == [7] * 8


def sides_seen(network: torch.nn.Module) -> list[int]:
    """The sides of the images that the blocks return."""
    seen = list[int]()
    for layer in network.modules():
        if isinstance(layer, BasicBlock):
            layer.register_forward_hook(lambda _, __, given: seen.append(given.shape[-1]))
    network(torch.rand(2, 1, 28, 28))
    return seen


def test_dilation_one_is_the_ordinary_network() -> None:
    networks = []
    for name, options in (
        ("resnet18", {}), ("resnet18_dilated", {"dilation": 1}), ("resnet18_dilated", {}),
    ):  # fmt: skip
        torch.manual_seed(0)
        networks.append(build(name, channels=4, **options).eval())
    images = torch.rand(2, 1, 28, 28)
    plain, one, two = (network(images) for network in networks)
    assert torch.equal(plain, one)
    assert not torch.allclose(plain, two)


def test_a_block_that_learnt_nothing_hands_on_what_it_got() -> None:
    block = BasicBlock(4, 4, stride=1, dilation=1).eval()
    for layer in block.residual:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.zeros_(layer.weight)
    features = torch.rand(2, 4, 7, 7)
    assert torch.equal(block(features), features)


def test_every_3x3_convolution_of_the_blocks_is_dilated() -> None:
    blocks = [m for m in build("resnet18_dilated", channels=2).modules() if type(m) is BasicBlock]
    dilations = [
        layer.dilation
        for block in blocks
        for layer in block.residual
        if isinstance(layer, torch.nn.Conv2d)
    ]
    assert dilations == [(2, 2)] * 16
