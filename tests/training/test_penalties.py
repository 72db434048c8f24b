from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fashion_hpo.training.architectures import CATALOGUE, skeleton
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.penalties import head, logits_and_penalty
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.training.tiny import tiny_config

WEIGHT = 0.5  # of the penalty


class Penalised(nn.Module):
    """Penalises its hidden values, as a network may its offsets."""

    def __init__(self, weight: float = WEIGHT) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.hidden, self.head = nn.Linear(784, 8), nn.Linear(8, 10)
        self.weight = weight

    def forward(self, pixels: Tensor) -> Tensor:
        return self.penalised(pixels)[0]

    def penalised(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.hidden(pixels.flatten(1))
        return self.head(hidden), self.weight * hidden.square().sum(1).mean()


def trained(
    splits: SearchSplits,
    hardware: Hardware,
    *,
    weight: float = WEIGHT,
    micro_batch: int | None = None,
    **fields: Any,
) -> tuple[list[Tensor], float]:
    """Parameters after an epoch of 64 images, and its training loss."""
    config = tiny_config(
        **{
            "dropout": 0.0, "epochs": 1, "train_images": 64, "optimizer": "sgd", "momentum": 0.0,
            "learning_rate": 0.01, "schedule": "constant", **fields,
        }
    )  # fmt: skip
    model = Penalised(weight)
    hardware = replace(hardware, micro_batch=micro_batch)
    (epoch,) = epochs_of(train(TrainingState(config, model, hardware), splits))
    return [p.detach() for p in model.parameters()], epoch.train_loss


def by_hand(splits: SearchSplits, head_l2: float) -> list[Tensor]:
    """One step of gradient descent on loss and penalties, written out."""
    model = Penalised()
    pixels, labels = splits.train.images[:64].float() / 255, splits.train.labels[:64]
    logits, penalty = model.penalised(pixels)
    (cross_entropy(logits, labels) + penalty + head_l2 * (model.head.weight**2).sum()).backward()
    return [(p - 0.01 * p.grad).detach() for p in model.parameters() if p.grad is not None]


def close(found: list[Tensor], expected: list[Tensor]) -> bool:
    return all(
        torch.allclose(one, other, rtol=1e-5, atol=1e-7)
        for one, other in zip(found, expected, strict=True)
    )


WAYS: list[dict[str, Any]] = [
    {"batch_size": 64},
    {"batch_size": 16, "accumulation": 4},
    {"batch_size": 24, "accumulation": 3},  # the last of 16 images
    {"batch_size": 64, "micro_batch": 16},
    {"batch_size": 64, "micro_batch": 13},
    {"batch_size": 64, "micro_batch": 1},
    {"batch_size": 24, "accumulation": 3, "micro_batch": 7},
]


@pytest.mark.parametrize("head_l2", [0.0, 0.3])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: " ".join(f"{k}={v}" for k, v in way.items()))
def test_the_step_is_that_of_loss_and_penalties_whatever_the_pieces(
    way: dict[str, Any], head_l2: float, splits: SearchSplits, hardware: Hardware
) -> None:
    found, _ = trained(splits, hardware, head_l2=head_l2, **way)
    assert close(found, by_hand(splits, head_l2))


def test_the_penalty_is_of_so_many_last_linear_layers() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 5), nn.Linear(5, 4), nn.Linear(4, 10))
    last, middle = (network[n].weight.detach().square().sum().item() for n in (3, 2))
    for layers, squares in ((1, last), (2, middle + last)):
        _, penalty = logits_and_penalty(network, torch.rand(2, 1, 28, 28), 0.3, layers)
        assert penalty is not None
        assert penalty.item() == pytest.approx(0.3 * squares)


def test_the_training_loss_leaves_penalties_out(splits: SearchSplits, hardware: Hardware) -> None:
    penalised, loss = trained(splits, hardware, head_l2=0.3)
    plain, plain_loss = trained(splits, hardware, weight=0.0)
    assert loss == plain_loss  # of the one batch, before its step
    assert not close(penalised, plain)


def test_the_networks_penalty_and_the_heads_are_summed() -> None:
    model, pixels = Penalised(), torch.rand(3, 784)
    logits, own = model.penalised(pixels)
    for head_l2 in (0.0, 0.5):
        again, both = logits_and_penalty(model, pixels, head_l2)
        assert torch.equal(again, logits)
        torch.testing.assert_close(both, own + head_l2 * model.head.weight.square().sum())


def test_a_network_without_penalties_has_none() -> None:
    model, pixels = nn.Linear(4, 10), torch.rand(3, 4)
    logits, penalty = logits_and_penalty(model, pixels, 0.0)
    assert torch.equal(logits, model(pixels))
    assert penalty is None


def test_the_heads_penalty_is_of_its_weights_alone() -> None:
    model = nn.Sequential(nn.Linear(784, 8), nn.Linear(8, 10))
    hidden, last = model
    with torch.no_grad():
        last.weight.fill_(2.0)
        last.bias.fill_(100.0)
    _, penalty = logits_and_penalty(model, torch.rand(3, 784), 0.5)
    assert penalty is not None
    assert penalty.item() == pytest.approx(0.5 * 80 * 4)
    penalty.backward()
    assert (last.weight.grad == 2.0).all()
    assert last.bias.grad is None
    assert hidden.weight.grad is None


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_network_has_a_head_of_ten_classes(name: str) -> None:
    assert head(skeleton(name, {}))[-1].out_features == 10


def test_a_network_without_a_linear_layer_is_refused() -> None:
    with pytest.raises(ValueError, match="head_l2 is set, but Conv2d has no linear layer; leave"):
        logits_and_penalty(nn.Conv2d(1, 10, 28), torch.rand(2, 1, 28, 28), 0.1)
