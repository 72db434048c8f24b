import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fashion_hpo.training.architectures import CATALOGUE, build, build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.evaluate import logits_of
from fashion_hpo.training.packaging import (
    ServedClassifier,
    differences,
    flops,
    probabilities_of,
    served,
)
from tests.training.tiny import tiny_config, weights


@pytest.mark.parametrize("pixel_range", ["unit", "symmetric"])
def test_the_served_network_gives_the_probabilities_that_were_measured(
    pixel_range: str, splits: SearchSplits, hardware: Hardware
) -> None:
    network = build("optimized_cnn", dropout=0.5, channels=4).train()
    logits = logits_of(network, splits.train, pixel_range, hardware)  # type: ignore[arg-type]
    found = probabilities_of(served(network, pixel_range), splits.train.images, batch=64)  # type: ignore[arg-type]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, logits.softmax(1).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize("channels_last", [True, False])
def test_a_network_is_served_in_the_memory_format_of_its_study(
    splits: SearchSplits, channels_last: bool
) -> None:
    strides = set()
    network = build("cnn", channels=4)
    model = served(network, "unit", channels_last=channels_last)
    model.network.register_forward_pre_hook(lambda _, given: strides.add(given[0].stride(1)))
    found = probabilities_of(model, splits.train.images)
    assert strides == {1 if channels_last else 28 * 28}
    other = served(network, "unit", channels_last=not channels_last)
    np.testing.assert_allclose(found, probabilities_of(other, splits.train.images), atol=1e-6)


def test_the_network_that_is_served_is_a_copy() -> None:
    network = build("simple_cnn", dropout=0.5).to(torch.float64).train()
    before = weights(network)
    model = served(network, "unit")
    assert not any(module.training for module in model.modules())
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert [m.p for m in model.modules() if isinstance(m, nn.Dropout)] == [0.0]
    for parameter in model.parameters():
        parameter.data.zero_()
    assert weights(network) == before
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.5]
    assert network.training


class OnlyBatch7(nn.Module):
    """An export whose batch size was fixed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        if len(images) != 7:
            raise RuntimeError("expected a batch of 7\nand more lines")
        output: Tensor = self.network(images)
        return output


def test_the_same_model_has_no_differences(splits: SearchSplits) -> None:
    network = build("simple_cnn", dropout=0.5)
    images = splits.train.images
    assert differences(served(network, "unit"), served(network, "unit"), images) == []


def test_differences_tell_what_is_wrong(splits: SearchSplits) -> None:
    network, images = build("simple_cnn", dropout=0.5), splits.train.images
    measured = served(network, "unit")
    noisy = ServedClassifier(network, "unit").train()
    assert differences(noisy, measured, images, [7]) == [
        "two passes over the same 7 images differ: dropout is on"
    ]
    assert len(differences(noisy, measured, images)) == 3, "at 512 images too it is not the same"
    (other,) = differences(served(network, "symmetric"), measured, images, [7])
    assert other.startswith("outputs at batch 7 differ by up to 0.")
    assert differences(OnlyBatch7(measured), measured, images, [1, 7]) == [
        "batch 1 fails (expected a batch of 7)"
    ]


def test_flops_by_hand() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.Flatten(), nn.Linear(3 * 784, 10))
    assert flops(network.train()) == 2 * (784 * 3 * 9 + 3 * 784 * 10)
    assert network.training


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_flops_of_every_network_are_counted(name: str) -> None:
    network = build_for(tiny_config(name))
    grads = [p.requires_grad for p in network.parameters()]
    assert flops(network) > 0
    assert [p.requires_grad for p in network.parameters()] == grads
    assert all(p.grad is None for p in network.parameters())
