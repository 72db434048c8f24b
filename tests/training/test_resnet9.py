import torch
from torch import nn

from fashion_hpo.training.architectures import build
from fashion_hpo.training.architectures.resnet9 import ResidualPair


def test_a_pair_whose_last_norm_is_zero_changes_nothing() -> None:
    pair = ResidualPair(4).eval()
    features = torch.randn(2, 4, 7, 7)
    assert not torch.equal(pair(features), features)
    last = [module for module in pair.modules() if isinstance(module, nn.BatchNorm2d)][-1]
    nn.init.zeros_(last.weight)
    assert torch.equal(pair(features), features)


def test_three_poolings_leave_three_pixels_a_side() -> None:
    network = build("resnet9", channels=2).eval()
    assert isinstance(network, nn.Sequential)
    features, sides = torch.rand(1, 1, 28, 28), []
    for layer in network[:6]:
        features = layer(features)
        sides.append(features.shape[-1])
    assert sides == [28, 14, 14, 7, 3, 3]
    assert features.shape[1] == 16
