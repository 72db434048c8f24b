"""Energy from the device's own counters, where it has some that may be read.

A processor's packages have them under Linux's powercap (docs.kernel.org/power/powercap), often for
root alone; a GPU of NVIDIA's in NVML (nvmlDeviceGetTotalEnergyConsumption), if nvidia-ml-py is
installed.  They count all that a package or a GPU takes: whatever else runs there, other trials
too, and being idle.  What cannot be known is None, never a guess.
"""

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch

POWERCAP = Path("/sys/class/powercap")
LARGEST_POWER = 600.0  # watts a package: no processor takes more for minutes


class Counter(NamedTuple):
    """Energy since some moment in the past, in joules; it starts again at 0 after `wraps_at`."""

    joules: float
    wraps_at: float


class Reading(NamedTuple):
    """Every counter of a device by its name, none where they cannot be read, and when that was."""

    counters: Mapping[str, Counter]
    seconds: float


def read(device: str, powercap: Path | None = None) -> Reading:
    """The counters of what a device is: the GPU's alone, or all packages of the processor."""
    counters: dict[str, Counter] = {}
    if device.startswith("cuda"):
        counters = _of_gpu(device)
    elif device == "cpu":
        counters = _of_packages(powercap or POWERCAP)
    return Reading(counters, time.monotonic())


def joules(first: Reading, last: Reading) -> float | None:
    """What was taken from one reading to the other; None where that is not known.

    A counter that may have wrapped twice in between tells nothing.
    """
    if not first.counters or first.counters.keys() != last.counters.keys():
        return None
    total = 0.0
    for name, then in last.counters.items():
        if (last.seconds - first.seconds) * LARGEST_POWER >= then.wraps_at:
            return None
        taken = then.joules - first.counters[name].joules
        total += taken if taken >= 0 else taken + then.wraps_at
    return total


def _of_packages(powercap: Path) -> dict[str, Counter]:
    """Of all packages; of none where one cannot be read.  Their cores and memory, which are counted
    within them, and the whole platform (`psys`) are left out."""
    try:
        zones = [zone for zone in powercap.iterdir() if re.fullmatch(r"intel-rapl:\d+", zone.name)]
        packages = [zone for zone in zones if _text(zone / "name").startswith("package")]
        return {zone.name: _of_zone(zone) for zone in packages}
    except (OSError, ValueError):  # absent, for root alone, or no number
        return {}


def _of_zone(zone: Path) -> Counter:
    micro = 1e-6
    taken, most = (int(_text(zone / name)) for name in ("energy_uj", "max_energy_range_uj"))
    return Counter(micro * taken, micro * most)


def _text(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _of_gpu(device: str) -> dict[str, Counter]:
    """NVML numbers GPUs otherwise than CUDA does where some are hidden, so it is asked by uuid."""
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
