"""Counters of a processor and of a GPU, as files and as a library that stand in for them."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from fashion_hpo.design.config import Epoch
from fashion_hpo.training import energy
from fashion_hpo.training.architectures import build_for
from fashion_hpo.training.data import SearchSplits
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.energy import Reading, joules, read
from fashion_hpo.training.state import TrainingState
from fashion_hpo.training.train import epochs_of, train
from tests.training.tiny import tiny_config

MOST = 262_143_328_850  # microjoules, as an Intel processor has it


def zone(folder: Path, name: str, kind: str, taken: int | str, most: int = MOST) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    for file, text in (("name", kind), ("energy_uj", taken), ("max_energy_range_uj", most)):
        (folder / name / file).write_text(f"{text}\n")


def at(seconds: float, reading: Reading) -> Reading:
    return reading._replace(seconds=seconds)


@pytest.fixture
def powercap(tmp_path: Path) -> Path:
    """Two packages, with a core's zone within the first, and the whole platform's."""
    zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:1", "package-1", 7_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1_000_000)
    zone(tmp_path, "intel-rapl:2", "psys", 90_000_000)
    zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5_000_000)
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


def test_packages_alone_are_added_up_in_joules(powercap: Path) -> None:
    first = read("cpu", powercap)
    for name, kind in (("0", "package-0"), ("1", "package-1"), ("0:0", "core"), ("2", "psys")):
        zone(powercap, f"intel-rapl:{name}", kind, 12_000_000)
    zone(powercap, "intel-rapl-mmio:0", "package-0", 12_000_000)  # the first package once more
    assert joules(first, read("cpu", powercap)) == pytest.approx(7 + 5)


def test_a_counter_that_starts_again_goes_on_from_its_range(powercap: Path) -> None:
    zone(powercap, "intel-rapl:0", "package-0", MOST - 2_000_000)
    first = read("cpu", powercap)
    zone(powercap, "intel-rapl:0", "package-0", 3_000_000)
    assert joules(first, read("cpu", powercap)) == pytest.approx(2 + 3)


@pytest.mark.parametrize(("seconds", "known"), [(400.0, True), (440.0, False)])
def test_over_a_time_in_which_it_may_start_again_twice_it_tells_nothing(
    powercap: Path, seconds: float, known: bool
) -> None:
    reading = read("cpu", powercap)
    assert (joules(at(0.0, reading), at(seconds, reading)) == 0) is known


@pytest.mark.parametrize(
    "break_it",
    [
        lambda folder: (folder / "intel-rapl:1" / "energy_uj").unlink(),
        lambda folder: (folder / "intel-rapl:1" / "energy_uj").write_text("busy\n"),
        lambda folder: (folder / "intel-rapl:1" / "max_energy_range_uj").write_bytes(b"\xff"),
        lambda folder: (folder / "intel-rapl:1" / "name").unlink(),
    ],
    ids=["gone", "no number", "no text", "no name"],
)
def test_one_package_that_cannot_be_read_leaves_the_whole_unknown(
    powercap: Path, break_it: object
) -> None:
    first = read("cpu", powercap)
    break_it(powercap)  # type: ignore[operator]
    assert read("cpu", powercap).counters == {}
    assert joules(first, read("cpu", powercap)) is None


def test_where_there_is_no_counter_nothing_is_known(tmp_path: Path, powercap: Path) -> None:
    for device, folder in (("cpu", tmp_path / "absent"), ("mps", powercap)):
        reading = read(device, folder)
        assert joules(reading, reading) is None


class NVMLError(Exception):
    pass


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """NVML with one GPU, known by its uuid, that has taken `millijoules`."""
    made = SimpleNamespace(millijoules=1_500, NVMLError=NVMLError, nvmlInit=lambda: None)
    made.nvmlDeviceGetHandleByUUID = lambda uuid: uuid
    made.nvmlDeviceGetTotalEnergyConsumption = lambda handle: (
        made.millijoules if handle == "GPU-abc" else 0
    )
    monkeypatch.setitem(sys.modules, "pynvml", made)
    named = {"cuda": "abc", "cuda:0": "abc", "cuda:1": "other"}
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=named[device])
    )
    return made


@pytest.mark.parametrize(("device", "taken"), [("cuda", 2.5), ("cuda:0", 2.5), ("cuda:1", 0.0)])
def test_a_gpu_is_asked_for_its_own_counter(
    gpu: SimpleNamespace, device: str, taken: float
) -> None:
    first = read(device)
    gpu.millijoules += 2_500
    assert joules(first, read(device)) == pytest.approx(taken)


def test_a_gpu_without_counter_or_library_is_no_failure(
    gpu: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: object) -> int:
        raise NVMLError("not supported")

    gpu.nvmlDeviceGetTotalEnergyConsumption = refused
    assert read("cuda").counters == {}
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it raises ImportError
    assert read("cuda").counters == {}


def test_a_training_adds_up_its_epochs_and_what_lies_between_is_not_in_it(
    splits: SearchSplits, hardware: Hardware, powercap: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "POWERCAP", powercap)
    config = tiny_config(epochs=3)
    state = TrainingState(config, build_for(config), hardware)
    pass_ = energy.read

    def metered(device: str) -> Reading:
        taken = int((powercap / "intel-rapl:0" / "energy_uj").read_text())
        zone(powercap, "intel-rapl:0", "package-0", taken + 4_000_000)
        return pass_(device)

    monkeypatch.setattr(energy, "read", metered)
    done: list[Epoch] = []
    for epoch in epochs_of(train(state, splits)):
        done.append(epoch)
        assert state.joules == pytest.approx(4 * len(done))
        zone(powercap, "intel-rapl:1", "package-1", 10**9 * len(done))  # of the caller
    assert len(done) == 3
