import pytest
import torch
from torch import nn
from torch.nn.functional import max_pool2d, relu

from fashion_hpo.training.architectures import build, parameter_count, skeleton


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        ("vgg8", [32, 32, 64, 64, 128]),
        ("vgg8_separable", [32, 32, 64, 64, 128]),
        ("vgg8_wide", [64, 64, 128, 128, 256]),
        ("vgg12", [8, 8, 16, 32, 64, 128, 256, 512, 1024]),
    ],
)
def test_the_channels_are_the_reports(name: str, widths: list[int]) -> None:
    norms = [m for m in skeleton(name, {}).modules() if isinstance(m, nn.BatchNorm2d)]
    assert [norm.num_features for norm in norms] == widths


def test_separable_convolutions_save_120_960_parameters() -> None:
    plain, separable = (parameter_count(skeleton(n, {})) for n in ("vgg8", "vgg8_separable"))
    assert plain - separable == 120_960


@pytest.mark.parametrize(("name", "pooled"), [("vgg8", [2, 4]), ("vgg12", [3, 6])])
def test_pooling_comes_after_the_reports_convolutions(name: str, pooled: list[int]) -> None:
    convolutions, found = 0, []
    for layer in skeleton(name, {}).modules():
        convolutions += isinstance(layer, nn.BatchNorm2d)
        if isinstance(layer, nn.MaxPool2d):
            found.append(convolutions)
    assert found == pooled


def test_pooling_before_relu_is_pooling_after_it() -> None:
    features = torch.randn(2, 3, 8, 8)
    assert torch.equal(relu(max_pool2d(features, 2)), max_pool2d(relu(features), 2))


def test_dropout_comes_before_each_wide_layer() -> None:
    layers = list(build("vgg8", channels=2, hidden=8, dropout=0.2).children())
    after = [
        type(layers[place + 1])
        for place, layer in enumerate(layers)
        if isinstance(layer, nn.Dropout) and layer.p == 0.2
    ]
    assert after == [nn.Linear, nn.Linear]
