"""How many trials of a plan the memory has room for, side by side in one process."""

from pathlib import Path

import torch
from torch import Tensor

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan
from fashion_hpo.measuring.estimate import architectures_of
from fashion_hpo.training.architectures import skeleton, without_backbone
from fashion_hpo.training.devices import Hardware
from fashion_hpo.training.train import PREPARED_TOGETHER

FLOAT = 4  # bytes
OF_A_WEIGHT = 4  # floats: the weight, its gradient and two moments of Adam
PIXELS = 28 * 28


def check(plan: Plan, hardware: Hardware, side_by_side: int, workers: int = 1) -> None:
    """Raise ValueError if the memory has no room for so many trials in each worker."""
    if side_by_side == 1:  # whatever the memory
        return
    room = fitting(plan, free_bytes(hardware.device))
    if room is None or side_by_side * workers <= room:
        return
    most = max(1, room // workers)
    beside = "" if workers == 1 else f" in each of {workers} workers"
    raise ValueError(
        f"--side-by-side is {side_by_side}, but the free memory has room for about {most} "
        f"trial(s) of this study at once{beside}; type --side-by-side {most}."
    )


def fitting(plan: Plan, free: int | None) -> int | None:
    """How many of the plan's largest trials fit; None if the free memory is unknown.

    A trial keeps its weights, gradients, moments and prepared images while others have their
    turns; its activations last for a step.
    """
    configs = [plan.base.replace(architecture=name) for name in architectures_of(plan)]
    if free is None or not configs:
        return None
    sizes = [trial_bytes(config) for config in configs]
    in_step = max(added for _, added in sizes)
    return max(0, (free - in_step) // max(kept for kept, _ in sizes))


def trial_bytes(config: TrainConfig) -> tuple[int, int]:
    """Bytes that a trial keeps between steps, and bytes that a step adds, both in float32.

    A forward pass over tensors without values tells what the backward pass will need.
    """
    options = without_backbone(config).architecture_options
    network = skeleton(config.architecture, options).train()
    weights = sum(p.numel() for p in network.parameters())
    saved: dict[int, torch.UntypedStorage] = {}  # by id: several tensors may share a storage

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[id(storage)] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        logits = network(torch.empty(config.batch_size, 1, 28, 28, device="meta"))
    activations = sum(storage.nbytes() for storage in saved.values())
    prepared = max(PREPARED_TOGETHER, config.batch_size) * PIXELS * FLOAT
    del logits
    return OF_A_WEIGHT * FLOAT * weights + prepared, activations


def free_bytes(device: str) -> int | None:
    """The memory that new trials can have on the device; None if unknown."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    known = [free for free in (_available(), _below_limit()) if free is not None]
    return min(known) if device == "cpu" and known else None


def _available(path: Path = Path("/proc/meminfo")) -> int | None:
    """What Linux counts as available."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if "MemAvailable" in line), None)


def _below_limit(group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container's limit leaves; None without a limit."""
    try:
        limit, used = (
            int((group / name).read_text(encoding="utf-8"))
            for name in ("memory.max", "memory.current")
        )
    except (OSError, ValueError):  # absent, or "max"
        return None
    return limit - used
