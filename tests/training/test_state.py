import pickletools
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.files.atomic import write_atomically
from fashion_hpo.training.architectures import CATALOGUE, build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.optimizers import SGD, Adam, AdamW
from fashion_hpo.training.state import TrainingState, make_optimizer
from tests.design.test_summaries import EPOCH
from tests.training.tiny import curve, tiny_config, trained, weights


def fresh(config: TrainConfig, hardware: Hardware) -> TrainingState:
    return TrainingState(config, build_for(config), hardware)


def recorded(state: TrainingState, val_losses: list[float]) -> list[bool]:
    """Whether the state is finished after each epoch."""
    finished = []
    for number, loss in enumerate(val_losses, start=1):
        state.record(replace(EPOCH, epoch=number, val_loss=loss))
        finished.append(state.finished)
    return finished


def test_a_checkpoint_brings_everything_back(
    splits: SearchSplits, hardware: Hardware, tmp_path: Path
) -> None:
    config = tiny_config(epochs=2, early_stopping_patience=1)
    state = trained(config, splits, hardware)
    state.save(tmp_path / "new" / "checkpoint")
    loaded = fresh(config, hardware)
    loaded.load(tmp_path / "new" / "checkpoint")
    assert loaded.history == state.history
    assert weights(loaded.model) == weights(state.model)
    assert (loaded.best_epoch, loaded.best_loss) == (state.best_epoch, state.best_loss)
    assert loaded.kept_epoch == state.kept_epoch
    assert str(loaded.optimizer.state_dict()) == str(state.optimizer.state_dict())
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["checkpoint"]


@pytest.mark.parametrize(
    ("before", "after", "known"),
    [(2.0, 3.0, 5.0), (2.0, None, None), (None, 3.0, None)],
    ids=["both", "resumed where nothing is counted", "begun where nothing was counted"],
)
def test_energy_is_known_if_it_is_of_every_epoch_also_of_an_earlier_attempts(
    before: float | None, after: float | None, known: float | None,
    hardware: Hardware, tmp_path: Path,
) -> None:  # fmt: skip
    state = fresh(tiny_config(epochs=2), hardware)
    state.record(EPOCH, before)
    state.save(tmp_path / "checkpoint")
    resumed = fresh(tiny_config(epochs=2), hardware)
    resumed.load(tmp_path / "checkpoint")
    resumed.record(replace(EPOCH, epoch=2), after)
    assert resumed.joules == known


def test_a_checkpoint_holds_no_code(hardware: Hardware, tmp_path: Path) -> None:
    fresh(tiny_config(), hardware).save(tmp_path / "checkpoint")
    with zipfile.ZipFile(tmp_path / "checkpoint") as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        imports = {
            argument
            for operation, argument, _ in pickletools.genops(archive.read(name))
            if operation.name == "GLOBAL"
        }
    assert imports <= {
        "collections OrderedDict", "torch FloatStorage", "torch._utils _rebuild_tensor_v2"
    }  # fmt: skip


def test_a_checkpoint_of_another_config_is_refused(hardware: Hardware, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    fresh(tiny_config(), hardware).save(path)
    with pytest.raises(ValueError, match=r"checkpoint checkpoint belongs to another config"):
        fresh(tiny_config(seed=1), hardware).load(path)


def test_a_checkpoint_of_other_layers_is_refused(hardware: Hardware, tmp_path: Path) -> None:
    path, config = tmp_path / "checkpoint", tiny_config()
    fresh(config, hardware).save(path)
    wrapped = nn.Sequential(build_for(config))  # as where a later version has another layout
    with pytest.raises(ValueError, match=r"another version of .*; delete it"):
        TrainingState(config, wrapped, hardware).load(path)


SAVE_WITH_FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from typing import Any
from fashion_hpo.files.atomic import write_atomically

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
write_atomically(Path(sys.argv[1]), bytes(100_000))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_process_killed_in_mid_write_leaves_the_old_checkpoint(
    splits: SearchSplits, hardware: Hardware, tmp_path: Path
) -> None:
    """The system kills the writer at the 1,000th byte."""
    config, path = tiny_config(epochs=1), tmp_path / "checkpoint"
    state = trained(config, splits, hardware)
    state.save(path)
    writer = subprocess.run([sys.executable, "-c", SAVE_WITH_FULL_DISK, str(path)], check=False)
    assert writer.returncode == -signal.SIGXFSZ
    loaded = fresh(config, hardware)
    loaded.load(path)
    assert curve(loaded.history) == curve(state.history)


def test_an_atomic_write_replaces_the_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    for content in (b"longer content", b"short"):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_failed_write_leaves_no_temporary_file(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(taken, b"content")
    assert list(tmp_path.iterdir()) == [taken]


def test_all_epochs_done_is_finished(hardware: Hardware) -> None:
    state = fresh(tiny_config(epochs=3), hardware)
    assert not state.finished
    assert recorded(state, [1, 2, 3]) == [False, False, True]
    assert state.kept_epoch == 3


@pytest.mark.parametrize("field", ["val_loss", "train_loss", "train_eval_loss"])
@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_finished(field: str, loss: float, hardware: Hardware) -> None:
    state = fresh(tiny_config(epochs=9, early_stopping_patience=5), hardware)
    changes: dict[str, Any] = {field: loss}
    state.record(replace(EPOCH, **changes))
    assert state.finished
    assert state.best_weights is None


@pytest.mark.parametrize(
    ("delta", "val_losses", "finished", "best"),
    [
        (0.0, [1.0, 0.9, 0.95, 0.9], [False, False, False, True], 2),
        (0.0, [1.0, 1.1, 0.9, 0.8], [False, False, False, False], 4),
        (0.2, [1.0, 0.9, 0.85], [False, False, True], 1),
        (0.2, [1.0, 0.9, 0.75], [False, False, False], 3),
    ],
)
def test_patience_counts_epochs_that_are_not_better_by_delta(
    delta: float, val_losses: list[float], finished: list[bool], best: int, hardware: Hardware
) -> None:
    config = tiny_config(epochs=9, early_stopping_patience=2, early_stopping_delta=delta)
    state = fresh(config, hardware)
    assert recorded(state, val_losses) == finished
    assert state.kept_epoch == state.best_epoch == best


def test_kept_weights_are_a_copy(hardware: Hardware) -> None:
    state = fresh(tiny_config(early_stopping_patience=1), hardware)
    before = weights(state.model)
    recorded(state, [1.0])
    for parameter in state.model.parameters():
        parameter.data.add_(1)
    assert weights(state.model) != before
    state.restore_best_weights()
    assert weights(state.model) == before


@pytest.mark.parametrize(("name", "kind"), [("adam", Adam), ("adamw", AdamW), ("sgd", SGD)])
def test_the_optimizer_is_the_configs(name: str, kind: type, hardware: Hardware) -> None:
    config = tiny_config(optimizer=name, learning_rate=0.02, weight_decay=0.03, momentum=0.4)
    model = build_for(config)
    next(model.parameters()).requires_grad = False
    optimizer = make_optimizer(config, model, hardware)
    assert type(optimizer) is kind
    group = optimizer.param_groups[0]
    assert (group["lr"], group["weight_decay"]) == (0.02, 0.03)
    assert group.get("momentum", 0.4) == 0.4
    assert len(group["params"]) == len(list(model.parameters())) - 1


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("weights_only", [False, True])
def test_decay_can_leave_norms_biases_and_embeddings_alone(
    name: str, weights_only: bool, hardware: Hardware
) -> None:
    """Without gradients, AdamW changes a parameter by its decay alone."""
    config = tiny_config(name, optimizer="adamw", weight_decay=0.5, decay_weights_only=weights_only)
    model = build_for(config)
    optimizer = make_optimizer(config, model, hardware)
    before = {}
    for path, parameter in model.named_parameters():
        if parameter.requires_grad:
            parameter.data.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
            before[path] = parameter
    optimizer.step()
    decayed = {path for path, parameter in before.items() if parameter.max() < 1.0}
    if not weights_only:
        assert decayed == set(before)
        return
    layers = {path: m for path, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)}
    assert decayed == {f"{path}.weight" for path in layers if f"{path}.weight" in before}
    assert 0 < len(decayed) < len(before)
