"""`bench gpu` at a small size on the CPU, and on a machine with torch and numpy alone."""

import re
import subprocess

import pytest
import torch

from fashion_hpo import bench
from fashion_hpo.measuring import gpu
from fashion_hpo.training.devices import Hardware
from tests.test_rooms import ONLY_TORCH_AND_NUMPY, run

WAYS = (
    "usual loop: DataLoader, float32", "tuned loop: resident images, eager", "ours, eager",
    "ours, 1 side by side", "ours, 2 side by side",
)  # fmt: skip
ROW = r"\| cnn \| (.+) \| ([\d,]+) \|"


def test_each_way_is_measured_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["gpu", "--device", "cpu", "--markdown"]) == 0
    assert tuple(way for way, _ in re.findall(ROW, capsys.readouterr().out)) == WAYS


def test_without_a_gpu_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert bench.main(["gpu"]) == 0
    assert capsys.readouterr().out == "There is no GPU here, so nothing was measured.\n"


def test_what_does_not_fit_the_time_is_said_to_be_unmeasured(hardware: Hardware) -> None:
    over = gpu.Extent(("cnn",), (1,), (), steps=1, loaders=0, seconds=-1.0)
    speeds = list(gpu.measure(hardware, over))
    assert len(speeds) == 4
    assert {(s.images_per_second, s.reason) for s in speeds} == {(None, "the time was over")}


def test_torch_and_numpy_are_enough() -> None:
    """Where other packages are absent, other commands say so."""
    code = ONLY_TORCH_AND_NUMPY + "sys.exit(module.main(sys.argv[2:]))"
    code = code.replace("for name in sys.argv[1:]:", "for name in sys.argv[1:2]:")
    code = code.replace("    importlib", "    module = importlib")
    measured = _run(code, "gpu", "--device", "cpu")
    assert measured.returncode == 0, measured.stderr
    assert measured.stdout.count("cnn") == len(WAYS)


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("-c", code, "fashion_hpo.bench", *arguments)
