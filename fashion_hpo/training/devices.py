"""Choose device, precision, memory format and number of threads."""

import ctypes
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from typing import get_args

import torch

from fashion_hpo.design.config import Precision, TrainConfig
from fashion_hpo.training.cores import usual_threads

DEVICES = ("auto", "cpu", "cuda", "mps")

SLOW_IN_BF16_ON_CPU = frozenset({"mobilenet_v2"})
"""oneDNN has no fast bfloat16 kernel for the backward pass of strided depthwise convolutions: 0.4
times the speed of float32.  All other networks gain (two cores of an AMD EPYC, Zen 5)."""


@dataclass(frozen=True)
class Hardware:
    """What a trial runs on; logged with the trial, because results depend on it."""

    device: str
    precision: str  # "fp32" or "bf16"
    channels_last: bool
    threads: int
    micro_batch: int | None = None  # images per forward pass, if a whole batch exceeds the memory
    side_by_side: int | None = (
        None  # trials that take turns in one process; no result depends on it
    )
    step: str = "eager"  # or "captured": each optimizer step is a CUDA graph; or "compiled": the
    # graph is of the compiled network
    served_channels_last: bool = False  # the memory format of the exported model

    def at(self, config: TrainConfig) -> "Hardware":
        """The hardware at the config's precision; "auto" keeps the precision, except for networks
        that bf16 slows down."""
        slow = self.device_type == "cpu" and config.architecture in SLOW_IN_BF16_ON_CPU
        automatic = "fp32" if slow else self.precision
        return replace(
            self, precision=automatic if config.precision == "auto" else config.precision
        )

    def describe(self) -> dict[str, str]:
        """The fields, the device's name, torch's version and settings as text, for the tags of a
        run."""
        fields = {name: str(value) for name, value in asdict(self).items() if value is not None}
        fields |= {"device_name": device_name(self.device), "torch": torch.__version__}
        return fields | cuda_settings() if self.device_type == "cuda" else fields

    @property
    def memory_format(self) -> torch.memory_format:
        """The fastest memory layout for convolutions on this device."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def autocast(self) -> AbstractContextManager[object]:
        """Run a forward pass at this precision."""
        if self.precision == "fp32":
            return nullcontext()
        # a graph must cast the weights of its own step
        cached = not self.captures
        return torch.autocast(self.device_type, dtype=torch.bfloat16, cache_enabled=cached)

    @property
    def captures(self) -> bool:
        """Whether each optimizer step is a CUDA graph."""
        return self.step != "eager"

    @property
    def device_type(self) -> str:
        """The device without its index: "cuda" for "cuda:1"."""
        return self.device.partition(":")[0]


def choose(
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    step: str = "captured",
    *,
    served_channels_last: bool = True,
) -> Hardware:
    """The fastest setting of this machine; arguments other than "auto" are kept.

    `step` is for CUDA; elsewhere no step can be captured.  Raises ValueError if the device is
    absent, the precision is unknown, or a compiler is lacking.
    """
    if precision not in get_args(Precision):
        raise ValueError(f"precision is {precision!r}; choose {', '.join(get_args(Precision))}.")
    device = _find(device)
    kind = device.partition(":")[0]
    if kind == "cpu":
        _keep_freed_memory()
    if kind == "cuda" and step == "compiled":
        check_compiler()
    if precision == "auto":
        precision = "bf16" if _has_fast_bf16(kind) else "fp32"
    return Hardware(
        device=device,
        precision=precision,
        channels_last=kind == "cpu" or (kind == "cuda" and precision == "bf16"),
        threads=threads or usual_threads(),
        step=step if kind == "cuda" else "eager",
        served_channels_last=served_channels_last,
    )


def check_compiler() -> None:
    """Raise ValueError without a C compiler, by which compiled networks start their kernels."""
    compilers = (os.environ.get("CC"), "gcc", "clang")
    if not any(shutil.which(name) for name in compilers if name):
        raise ValueError(
            "step is 'compiled' in this study, and this machine has no C compiler, which its "
            "networks need; install gcc, or train all of it again by --revise --compile no."
        )


def cuda_settings() -> dict[str, str]:
    """Settings of torch, all left at their defaults, that last bits on CUDA depend on."""
    return {
        "float32_matmul": torch.get_float32_matmul_precision(),
        "cudnn_tf32": str(torch.backends.cudnn.allow_tf32),
        "cudnn_benchmark": str(torch.backends.cudnn.benchmark),
        "cudnn_deterministic": str(torch.backends.cudnn.deterministic),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
    }


def device_name(device: str) -> str:
    """The name of the accelerator or the processor."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    processor = torch.cpu.get_capabilities().get("cpu_name")  # unknown on some platforms
    names = (processor, torch.backends.cpu.get_cpu_capability())
    return f"{device} ({', '.join(str(name) for name in names if name)})"


def _find(device: str) -> str:
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _mps_is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available.get(device.partition(":")[0], False):
        names = ", ".join(name for name, is_available in available.items() if is_available)
        raise ValueError(f"device is {device!r}; this machine has {names}; choose one, or auto.")
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


def _cpu_gains_by_bf16(capabilities: Mapping[str, object]) -> bool:
    """CPUs with AMX gain, and AMD's with AVX512-BF16: twice the products per cycle of float32.

    Intel's cores run AVX512-BF16 on half of their units and gain nothing.
    """
    amd = str(capabilities.get("cpu_name", "")).startswith("AMD")
    return bool(capabilities.get("amx_bf16")) or bool(capabilities.get("avx512_bf16") and amd)


def _keep_freed_memory() -> None:
    """Tell glibc to reuse freed blocks.

    Returning each batch's activations to the kernel and faulting them in again costs a training on
    the CPU about a fifth of its speed.  Under a memory limit (`ulimit`) the default stays: blocks
    that torch kept would be missing for thread stacks and generated code.
    """
    if not sys.platform.startswith("linux") or _limited():
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # absent from other C libraries
    if mallopt is not None:
        trim_threshold, mmap_max = -1, -4
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_max, 0)


def _limited() -> bool:
    import resource  # absent on Windows

    limits = (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    return any(resource.getrlimit(limit)[0] != resource.RLIM_INFINITY for limit in limits)
