"""One suite over every network of the catalogue: what the trainer and the store rely on."""

import io

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fashion_hpo.training.architectures import (
    CATALOGUE,
    build,
    build_for,
    check,
    parameter_count,
)
from fashion_hpo.training.packaging import served
from tests.training.tiny import tiny_config, weights

over_catalogue = pytest.mark.parametrize("name", CATALOGUE)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(7, 1, 28, 28)


@over_catalogue
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_images_become_ten_logits(
    name: str, memory_format: torch.memory_format, images: Tensor
) -> None:
    network = build(name, dropout=0.5).to(memory_format=memory_format)
    images = images.to(memory_format=memory_format)
    assert network(images).shape == (7, 10)
    network.eval()
    for batch in (images, images[:1]):
        logits = network(batch)
        assert logits.shape == (len(batch), 10)
        assert logits.dtype == torch.float32
        assert logits.min() < 0 < logits.max()  # no probabilities
    torch.testing.assert_close(network(images)[:1], network(images[:1]), atol=1e-5, rtol=1e-4)


@over_catalogue
def test_dropout_acts_in_training_and_only_there(name: str, images: Tensor) -> None:
    dropping, whole = build(name, dropout=0.5), build(name, dropout=0.0)
    assert not torch.equal(dropping(images), dropping(images))
    assert torch.equal(whole(images), whole(images))
    dropping.eval()
    assert torch.equal(dropping(images), dropping(images))


@over_catalogue
def test_gradients_reach_every_parameter(name: str, images: Tensor) -> None:
    network = build(name)
    cross_entropy(network(images), torch.arange(7)).backward()
    for parameter, value in network.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.abs().sum() > 0, parameter


@over_catalogue
def test_one_batch_is_learnt_by_heart(name: str, images: Tensor) -> None:
    network, labels = build(name), torch.arange(7)
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@over_catalogue
def test_the_export_serves_any_batch_and_equals_the_network(name: str) -> None:
    model = served(build(name, dropout=0.5).train(), "symmetric")
    images = torch.randint(0, 256, (64, 28, 28), dtype=torch.uint8)
    batch = torch.export.Dim("batch")
    program = torch.export.export(model, (images[:2],), dynamic_shapes=({0: batch},))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    reloaded = torch.export.load(file).module()
    for size in (1, 7, 64):
        torch.testing.assert_close(
            reloaded(images[:size]), model(images[:size]), atol=1e-6, rtol=1e-5
        )


@over_catalogue
def test_the_initial_weights_are_a_function_of_the_seed(name: str) -> None:
    config = tiny_config(name, dropout=0.1, seed=4)
    first = weights(build_for(config))
    torch.rand(5)
    assert weights(build_for(config)) == first
    assert weights(build_for(config.replace(dropout=0.5))) == first
    assert weights(build_for(config.replace(seed=5))) != first


@over_catalogue
def test_an_unknown_option_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=rf"architecture_options has 'chanels'; {name} has "):
        build(name, chanels=3)
    config = tiny_config(name).replace(architecture_options={"dropout": 0.5})
    with pytest.raises(ValueError, match=rf"architecture_options has 'dropout'; {name} has "):
        build_for(config)  # it is a field of its own


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"architecture is 'simple-cnn'; did you mean simple_cnn"):
        build("simple-cnn")
    with pytest.raises(ValueError) as error:
        check("zzz", {})
    assert all(name in str(error.value) for name in CATALOGUE)


def test_the_plain_cnn_has_the_reports_421_642_parameters() -> None:
    assert parameter_count(build("cnn")) == parameter_count(build("cnn", dropout=0.5)) == 421_642


def test_options_change_the_network() -> None:
    assert parameter_count(build("cnn", channels=8)) < parameter_count(build("cnn"))


def test_optimized_cnn_drops_whole_channels_and_three_block_cnn_rises() -> None:
    drops = [
        m.p for m in build("three_block_cnn", dropout=0.5).modules() if isinstance(m, nn.Dropout)
    ]
    assert drops == pytest.approx([0.2, 0.3, 0.4, 0.5])
    optimized = build("optimized_cnn", dropout=0.25).modules()
    assert [m.p for m in optimized if isinstance(m, nn.Dropout2d)] == [0.25] * 4
