"""Models that take an earlier model's program: the same files as an export of their own."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fashion_hpo.stores import exports, models
from fashion_hpo.stores.model_files import file_hashes
from fashion_hpo.stores.models import UnsafeModelError, read_model, write_model
from fashion_hpo.training.architectures import CATALOGUE, build, build_for
from fashion_hpo.training.packaging import ServedClassifier, differences, served
from tests.stores.test_models import change_archive
from tests.training.tiny import tiny_config, weights

EXAMPLE = np.zeros((2, 28, 28), np.uint8)
IMAGES = torch.randint(
    0, 256, (64, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
)


@pytest.fixture(autouse=True)
def _no_programs() -> Iterator[None]:
    """Each test begins as a process does."""
    exports._programs.clear()
    yield
    exports._programs.clear()


def refuse_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("exported once more")

    monkeypatch.setattr(exports, "write_model", refuse)


def export(model: nn.Module, folder: Path, example: np.ndarray = EXAMPLE) -> Tensor:
    """The outputs of the model that was read back."""
    with exports.exported(model, folder, example, {"folder": folder.name}) as module:
        assert differences(module, model, IMAGES, [1, 7, 64]) == []
        outputs: Tensor = module(IMAGES)
    return outputs


@pytest.mark.parametrize("architecture", CATALOGUE)
def test_a_later_model_has_its_own_weights_in_the_same_program(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(architecture, dropout=0.5)
    first, later = (
        served(build_for(config.replace(seed=seed, dropout=rate)).train(), "symmetric")
        for seed, rate in ((0, 0.5), (1, 0.2))
    )
    export(first, tmp_path / "first")
    refuse_exports(monkeypatch)
    outputs = export(later, tmp_path / "later")
    module = read_model(tmp_path / "later")
    assert weights(module) == weights(later)
    assert torch.equal(module(IMAGES), outputs)
    assert models.metadata_of(tmp_path / "later") == {"folder": "later"}


@pytest.mark.parametrize("architecture", ["optimized_cnn", "vit"])
def test_the_files_are_those_of_an_export(architecture: str, tmp_path: Path) -> None:
    first, later = (
        served(build_for(tiny_config(architecture, seed=seed)), "unit") for seed in (0, 1)
    )
    export(first, tmp_path / "first")
    export(later, tmp_path / "later")
    write_model(later, tmp_path / "fresh", EXAMPLE, {"folder": "later"})
    hashes, fresh = (file_hashes(tmp_path / folder) for folder in ("later", "fresh"))
    assert hashes.pop("MLmodel") != fresh.pop("MLmodel"), "it has an id and a time"
    assert hashes == fresh
    assert described(tmp_path / "later") == described(tmp_path / "fresh")


def described(folder: Path) -> list[str]:
    lines = (folder / "MLmodel").read_text().splitlines()
    return [line for line in lines if not line.startswith(("model_uuid", "utc_time_created"))]


class Shifted(nn.Module):
    """A network with a constant that is no weight."""

    def __init__(self, shift: float, constant: float) -> None:
        super().__init__()
        self.layer = nn.Linear(784, 10)
        self.shift = shift
        self.register_buffer("constant", constant * torch.arange(10), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layer(images.flatten(1)) + self.constant
        return logits * self.shift


SHIFTED = Shifted(0.5, 1.0)


def shifted_twice(self: Shifted, images: Tensor) -> Tensor:
    logits: Tensor = self.layer(images.flatten(1)) + 2 * self.constant
    return logits * self.shift


class Tied(nn.Module):
    """A network whose two layers share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(784, 784), nn.Linear(784, 784)
        self.second.weight = self.first.weight

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.second(self.first(images.flatten(1)))[:, :10]
        return logits


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (build("cnn", channels=4), build("cnn", channels=8)),
        (build("cnn", channels=4), build("lenet5")),
        (Shifted(0.5, 1.0), Shifted(0.25, 1.0)),
        (Shifted(0.5, 1.0), Shifted(0.5, 2.0)),
        (Tied(), Tied()),
    ],
    ids=["size", "network", "number", "constant", "shared weights"],
)  # fmt: skip
def test_what_differs_in_more_than_weights_is_exported_itself(
    one: nn.Module, other: nn.Module, tmp_path: Path
) -> None:
    export(served(one, "unit"), tmp_path / "one")
    export(served(other, "unit"), tmp_path / "other")
    assert differences(read_model(tmp_path / "other"), served(other, "unit"), IMAGES, [7]) == []


def test_other_pixels_and_another_example_are_exported_themselves(tmp_path: Path) -> None:
    network = build("cnn", channels=4)
    export(served(network, "unit"), tmp_path / "unit")
    export(served(network, "symmetric"), tmp_path / "symmetric")
    export(served(network, "unit"), tmp_path / "ones", EXAMPLE + 1)
    examples = [(tmp_path / n / "input_example.json").read_bytes() for n in ("unit", "ones")]
    assert examples[0] != examples[1]
    assert len(exports._programs) == 3


def test_a_network_that_cannot_be_told_from_others_is_exported_itself(tmp_path: Path) -> None:
    class Local(nn.Flatten):
        pass

    for name in ("one", "other"):
        network = nn.Sequential(Local(), nn.Linear(784, 10))
        export(ServedClassifier(network, "unit").eval(), tmp_path / name)
    assert exports._programs == {}


def test_a_class_that_is_defined_again_is_exported_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(served(Shifted(0.5, 1.0), "unit"), tmp_path / "one")
    again = type("Shifted", (Shifted,), {"__module__": __name__, "forward": shifted_twice})
    monkeypatch.setitem(globals(), "Shifted", again)
    network = again.__new__(again)
    network.__dict__.update(SHIFTED.__dict__)
    export(served(network, "unit"), tmp_path / "other")
    assert len(exports._programs) == 2


def test_an_export_within_another_leaves_its_weights(tmp_path: Path) -> None:
    one, other = (served(build("cnn", channels=4), "unit") for _ in range(2))
    export(one, tmp_path / "before")
    with exports.exported(one, tmp_path / "one", EXAMPLE, {}) as module:
        export(other, tmp_path / "other")
        assert differences(module, one, IMAGES, [7]) == []


def test_no_weights_are_held_between_two_exports(tmp_path: Path) -> None:
    model = served(build("cnn", channels=4), "unit")
    for name in ("first", "later"):
        with exports.exported(model, tmp_path / name, EXAMPLE, {}) as module:
            held = [weakref.ref(parameter) for parameter in module.parameters()]
        del module
        gc.collect()
        assert [reference() for reference in held] == [None] * len(held)


def test_a_program_that_failed_is_not_taken_again(tmp_path: Path) -> None:
    model = served(build("cnn", channels=4), "unit")
    with (
        pytest.raises(ValueError, match="altered"),
        exports.exported(model, tmp_path / "one", EXAMPLE, {}),
    ):
        raise ValueError("altered")
    assert exports._programs == {}


def test_an_archive_with_another_graph_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, write = served(build("cnn", channels=4), "unit"), exports._write
    export(model, tmp_path / "first")

    def write_altered(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        change_archive(
            tmp_path / "later", lambda records: records.update({"models/model.json": b"{}"})
        )

    monkeypatch.setattr(exports, "_write", write_altered)
    with pytest.raises(UnsafeModelError, match="has not the graph"):
        export(model, tmp_path / "later")
