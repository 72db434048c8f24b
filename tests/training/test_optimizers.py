import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn, optim

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.state import make_optimizer

TRAINED = """
import sys, torch
from pathlib import Path
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import train
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import choose
from fashion_hpo.training.split import Split
from fashion_hpo.training.architectures import build_for
from tests.training.tiny import tiny_config

images = Split(torch.zeros(20, 28, 28, dtype=torch.uint8), torch.arange(20) % 10)
for name in ("adam", "adamw", "sgd"):
    config = tiny_config(optimizer=name, epochs=2)
    state, again = (TrainingState(config, build_for(config), choose("cpu")) for _ in range(2))
    training = train(state, SearchSplits(images, images, ""))
    while next(training) is None:
        pass
    state.save(Path(sys.argv[1]))
    again.load(Path(sys.argv[1]))
    list(train(again, SearchSplits(images, images, "")))
print("torch._dynamo" in sys.modules)
"""


def test_a_training_with_checkpoints_imports_no_dynamo(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAINED, f"{tmp_path}/checkpoint"],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.stdout == "False\n", done.stderr


@pytest.mark.parametrize("device", ["cpu", "mps"])  # there torch steps fused, and not
@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW, optim.SGD])
def test_steps_equal_those_of_torchs_own_optimizer_to_the_bit(
    kind: type[optim.Optimizer], device: str, hardware: Hardware
) -> None:
    config = TrainConfig(optimizer=kind.__name__.lower(), weight_decay=0.03, momentum=0.4)
    networks = [nn.Linear(7, 3) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    ours = make_optimizer(config, networks[0], replace(hardware, device=device))
    theirs = kind(networks[1].parameters())  # type: ignore[call-arg]
    theirs.load_state_dict(ours.state_dict())
    for number in range(5):
        for network, optimizer in zip(networks, (ours, theirs), strict=True):
            optimizer.zero_grad(set_to_none=True)
            network(torch.arange(14.0).view(2, 7) - number).square().mean().backward()
            optimizer.step()
        assert torch.equal(networks[0].weight, networks[1].weight)
    assert str(ours.state_dict()) == str(theirs.state_dict())
