"""How many cores and threads a process may use: affinity, a container's quota, OMP_NUM_THREADS."""

import math
import os
from collections.abc import Iterator
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """Cores this process may run on; a container may have fewer than the machine.

    A quota is rounded up: 0.5 cores count as one, 1.5 as two.  `root` is the folder of /proc and
    /sys.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [math.ceil(quota) for quota in _quotas(root)]
    return max(1, min([cores or 1, *quotas]))


def usual_threads() -> int:
    """The default number of threads of a trial: OMP_NUM_THREADS, else all usable cores."""
    return asked_threads() or usable_cores()


def asked_threads() -> int | None:
    """OMP_NUM_THREADS; None unless it is a positive number.  Of a list, the first (outermost
    level) counts."""
    threads = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(threads) if threads.isdecimal() and int(threads) > 0 else None


def _quotas(root: Path) -> Iterator[float]:
    """CPU quotas, in cores, of this process's control group and of its parents."""
    for group in _groups(root):
        for name in ("cpu.max", "cpu.cfs_quota_us"):
            try:
                words = (group / name).read_text(encoding="utf-8").split()
                if name == "cpu.cfs_quota_us":
                    words.append((group / "cpu.cfs_period_us").read_text(encoding="utf-8"))
                quota, period = (float(word) for word in words)
            except (OSError, ValueError):  # absent, or "max"
                continue
            if quota > 0 and period > 0:  # version 1 writes -1 for no quota
                yield quota / period


def _groups(root: Path) -> Iterator[Path]:
    """Folders of this process's control groups (versions 1 and 2), innermost first."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return  # not Linux
    mounts = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = Path(path.strip("/"))
        for mount in (controllers, "cpu") if controllers else ("", "unified"):
            yield from (mounts / mount / folder for folder in (group, *group.parents))
