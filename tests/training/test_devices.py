from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.training import devices
from fashion_hpo.training.architectures import CATALOGUE
from fashion_hpo.training.cores import usual_threads
from fashion_hpo.training.devices import Hardware


def test_the_cpu_can_always_be_asked_for() -> None:
    hardware = devices.choose("cpu", threads=3)
    assert (hardware.device, hardware.threads, hardware.channels_last) == ("cpu", 3, True)
    assert hardware.precision in ("fp32", "bf16")
    assert hardware.memory_format == torch.channels_last


def test_auto_takes_what_is_there() -> None:
    here = devices.choose()
    assert here == devices.choose(here.device)
    assert (here.device == "cuda") == torch.cuda.is_available()
    assert here.threads == usual_threads()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_precision_asked_for_is_taken(precision: str) -> None:
    hardware = devices.choose("cpu", precision)
    layer = nn.Linear(4, 4)
    with hardware.autocast():
        dtype = layer(torch.zeros(2, 4)).dtype
    assert dtype == {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]


def test_a_config_that_names_its_precision_has_it(hardware: Hardware) -> None:
    config = TrainConfig(architecture="mobilenet_v2")
    for precision in ("fp32", "bf16"):
        assert hardware.at(config.replace(precision=precision)).precision == precision


def test_on_a_cpu_bfloat16_is_not_chosen_for_networks_that_it_slows(hardware: Hardware) -> None:
    assert set(CATALOGUE) > devices.SLOW_IN_BF16_ON_CPU
    slow, quick = TrainConfig(architecture="mobilenet_v2"), TrainConfig(architecture="cnn")
    fast = replace(hardware, precision="bf16")
    assert (fast.at(slow).precision, fast.at(quick).precision) == ("fp32", "bf16")
    assert replace(fast, device="cuda").at(slow).precision == "bf16"
    assert hardware.at(quick) == hardware


@pytest.mark.parametrize(
    ("found", "gains"),
    [
        ({}, False),
        ({"architecture": "aarch64", "sve": True}, False),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": True, "amx_bf16": False}, True),
        ({"cpu_name": "AMD EPYC", "avx512_bf16": False, "amx_bf16": False}, False),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": False}, False),
        ({"cpu_name": "Intel Xeon", "avx512_bf16": True, "amx_bf16": True}, True),
    ],
)
def test_processors_that_gain_by_bfloat16(found: dict[str, object], gains: bool) -> None:
    assert devices._cpu_gains_by_bf16(found) == gains


ABSENT = [
    name
    for name, there in (
        ("cuda", torch.cuda.is_available()),
        ("cuda:1", torch.cuda.is_available()),
        ("mps", torch.backends.mps.is_available()),
        ("toaster", False),
        ("", False),
    )
    if not there
]


@pytest.mark.parametrize("name", ABSENT)
def test_an_absent_device_is_refused_with_those_that_are_there(name: str) -> None:
    with pytest.raises(ValueError, match=f"^device is '{name}'; this machine has cpu"):
        devices.choose(name)


def test_the_index_is_no_part_of_the_device_type() -> None:
    hardware = Hardware(device="cuda:1", precision="fp32", channels_last=False, threads=1)
    assert hardware.device_type == "cuda"
    assert hardware.memory_format == torch.contiguous_format


def test_the_description_is_text(hardware: Hardware) -> None:
    description = hardware.describe()
    assert description.pop("torch") == torch.__version__
    assert description.pop("device_name").startswith("cpu (")
    assert description == {
        "device": "cpu", "precision": "fp32", "channels_last": "True", "threads": "1",
        "step": "eager", "served_channels_last": "False",
    }  # fmt: skip


def test_the_settings_of_cuda_are_torchs_defaults() -> None:
    """cudnn.benchmark would choose algorithms by their speed, which differs from run to run."""
    settings = devices.cuda_settings()
    assert settings["float32_matmul"] == "highest"
    assert settings["cudnn_benchmark"] == settings["deterministic"] == "False"


def test_compiled_networks_need_a_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"no C compiler, .* --revise --compile no"):
        devices.check_compiler()
    compiler = tmp_path / "my-cc"
    compiler.touch(mode=0o755)
    monkeypatch.setenv("CC", str(compiler))
    devices.check_compiler()
