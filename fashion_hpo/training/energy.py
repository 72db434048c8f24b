"""Energy from the device's own counters, where they can be read.

Processor packages have counters under Linux's powercap (docs.kernel.org/power/powercap), often
readable by root alone; NVIDIA's GPUs have one in NVML (nvmlDeviceGetTotalEnergyConsumption), read
if nvidia-ml-py is installed.  A counter includes everything that runs on its package or GPU, other
trials too, and idle power.  An unknown energy is None, never a guess.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

POWERCAP = Path("/sys/class/powercap")
LARGEST_POWER = 600.0  # watts per package: no processor draws more for minutes


class Counter(NamedTuple):
    """Energy since an unknown start, in joules; wraps to 0 at `wraps_at`."""

    joules: float
    wraps_at: float


class Reading(NamedTuple):
    """All counters of a device by name, and the time; no counters if they cannot be read."""

    counters: Mapping[str, Counter]
    seconds: float


def read(device: str, powercap: Path | None = None) -> Reading:
    """The counter of a GPU, or the counters of all packages of the processor."""
    counters: dict[str, Counter] = {}
    if device.startswith("cuda"):
        counters = _of_gpu(device)
    elif device == "cpu":
        counters = _of_packages(powercap or POWERCAP)
    return Reading(counters, time.monotonic())


def joules(first: Reading, last: Reading) -> float | None:
    """The energy between two readings; None if unknown or if a counter may have wrapped twice."""
    if not first.counters or first.counters.keys() != last.counters.keys():
        return None
    total = 0.0
    for name, counter in last.counters.items():
        if (last.seconds - first.seconds) * LARGEST_POWER >= counter.wraps_at:
            return None
        used = counter.joules - first.counters[name].joules
        total += used if used >= 0 else used + counter.wraps_at
    return total


def _of_packages(powercap: Path) -> dict[str, Counter]:
    """The counters of all packages; none if one of them cannot be read.

    Cores and memory are left out, because the package includes them, and so is the whole platform
    (`psys`).
    """
    try:
        zones = [zone for zone in powercap.iterdir() if re.fullmatch(r"intel-rapl:\d+", zone.name)]
        packages = [zone for zone in zones if _text(zone / "name").startswith("package")]
        return {zone.name: _of_zone(zone) for zone in packages}
    except (OSError, ValueError):  # absent, readable by root alone, or not a number
        return {}


def _of_zone(zone: Path) -> Counter:
    micro = 1e-6
    energy, wraps_at = (int(_text(zone / name)) for name in ("energy_uj", "max_energy_range_uj"))
    return Counter(micro * energy, micro * wraps_at)


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _of_gpu(device: str) -> dict[str, Counter]:
    """Looks the GPU up by uuid: where some GPUs are hidden, NVML's and CUDA's numbers differ."""
    try:
        import pynvml
    except ImportError:
        return {}
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    try:
        pynvml.nvmlInit()
        millijoules = pynvml.nvmlDeviceGetTotalEnergyConsumption(
            pynvml.nvmlDeviceGetHandleByUUID(uuid)
        )
    except pynvml.NVMLError:  # no driver, or a GPU too old to count
        return {}
    return {uuid: Counter(millijoules / 1000, float("inf"))}
