"""Where a config is trained: accelerator, precision, memory format and threads."""

import ctypes
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import get_args

import torch

from fashion_hpo.design.config import Precision, TrainConfig
from fashion_hpo.training.cores import usual_threads

DEVICES = ("auto", "cpu", "cuda", "mps")

SLOW_IN_BF16_ON_CPU = frozenset({"mobilenet_v2"})
"""Backward passes of strided depthwise convolutions have no fast bfloat16 kernel in oneDNN: 0.4
times as fast as in float32, where all other networks gain (two cores of an AMD EPYC, Zen 5)."""


@dataclass(frozen=True)
class Hardware:
    """What a trial runs on; logged with it, because results depend on it."""

    device: str
    precision: str  # "fp32" or "bf16"
    channels_last: bool
    threads: int
    micro_batch: int | None = (
        None  # images that pass at once, where a batch is more than memory has
    )

    def at(self, config: TrainConfig) -> "Hardware":
        """The same at a config's precision; auto leaves it, but for networks it would slow."""
        slow = self.device_type == "cpu" and config.architecture in SLOW_IN_BF16_ON_CPU
        automatic = "fp32" if slow else self.precision
        return replace(
            self, precision=automatic if config.precision == "auto" else config.precision
        )

    def describe(self) -> dict[str, str]:
        """The fields, the device's name and torch's version as text, for a run's tags."""
        fields = {name: str(value) for name, value in asdict(self).items() if value is not None}
        name = device_name(self.device)
        return {**fields, "device_name": name, "torch": torch.__version__}

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout in which convolutions are fastest here."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Run the forward pass in this precision."""
        enabled = self.precision == "bf16"
        with torch.autocast(self.device_type, dtype=torch.bfloat16, enabled=enabled):
            yield

    @property
    def device_type(self) -> str:
        """The device without its index: cuda:1 is cuda."""
        return self.device.partition(":")[0]


def choose(device: str = "auto", precision: str = "auto", threads: int | None = None) -> Hardware:
    """Pick what the hardware does fastest, or take what is asked for.

    Raises ValueError where the device asked for is absent or the precision unknown.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision is {precision!r}; choose {', '.join(get_args(Precision))}.")
    found = _find(device)
    kind = found.partition(":")[0]
    fast_bf16 = _has_fast_bf16(kind)
    if kind == "cpu":
        _keep_freed_memory()
    if precision == "auto":
        precision = "bf16" if fast_bf16 else "fp32"
    return Hardware(
        device=found,
        precision=precision,
        channels_last=kind == "cpu" or (kind == "cuda" and precision == "bf16"),
        threads=threads or usual_threads(),
    )


def device_name(device: str) -> str:
    """The accelerator's or the processor's name."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    processor = torch.cpu.get_capabilities().get("cpu_name")  # not known everywhere
    known = (processor, torch.backends.cpu.get_cpu_capability())
    return f"{device} ({', '.join(str(part) for part in known if part)})"


def _find(device: str) -> str:
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _mps_is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if present[name])
    if not present.get(device.partition(":")[0], False):
        here = ", ".join(name for name, there in present.items() if there)
        raise ValueError(f"device is {device!r}; here there is {here}; or say auto.")
    index = device.partition(":")[2]
    if index and not (index.isdecimal() and int(index) < torch.cuda.device_count()):
        raise ValueError(f"device is {device!r}; there are {torch.cuda.device_count()} GPUs.")
    return device


def _mps_is_available() -> bool:
    return torch.backends.mps.is_available()


def _has_fast_bf16(kind: str) -> bool:
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return kind == "cpu" and _cpu_gains_by_bf16(torch.cpu.get_capabilities())


def _cpu_gains_by_bf16(found: Mapping[str, object]) -> bool:
    """AMX does; AVX512-BF16 on AMD, which has twice as many products a cycle as in float32.

    Intel's cores have AVX512-BF16 on half of their units, and gain nothing.
    """
    amd = str(found.get("cpu_name", "")).startswith("AMD")
    return bool(found.get("amx_bf16")) or bool(found.get("avx512_bf16") and amd)


def _keep_freed_memory() -> None:
    """Tell glibc to reuse freed blocks: giving each batch's activations back to the kernel and
    faulting them in again costs a CPU training about a fifth of its speed.

    Under a limit (`ulimit`) they go back: what torch kept would be missing for threads and code.
    """
    if not sys.platform.startswith("linux") or _limited():
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent from other C libraries
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


def _limited() -> bool:
    import resource  # which Windows has not

    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)
