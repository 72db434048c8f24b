import os
from pathlib import Path

import pytest

from fashion_hpo.engines import sharing
from fashion_hpo.training import cores, devices

HERE = cores.usable_cores(Path("/nowhere"))  # without any quota


def written(root: Path, files: dict[str, str]) -> Path:
    """A folder with /proc and /sys of a container."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def version_2(quota: str, group: str = "", seen_as: str = "/") -> dict[str, str]:
    return {"proc/self/cgroup": f"0::{seen_as}\n", f"sys/fs/cgroup/{group}cpu.max": quota}


def version_1(quota: str, folder: str = "cpu,cpuacct", seen_as: str = "/") -> dict[str, str]:
    return {
        "proc/self/cgroup": f"9:memory:/other\n3:{folder}:{seen_as}\n0::/\n",
        f"sys/fs/cgroup/{folder}/cpu.cfs_quota_us": quota,
        f"sys/fs/cgroup/{folder}/cpu.cfs_period_us": "100000\n",
    }


@pytest.mark.parametrize(("files", "expected"), [
    (version_2("50000 100000\n"), 1),
    (version_2("100000 100000\n"), 1),
    (version_2("150000 100000\n"), 2),
    (version_2("max 100000\n"), 64),
    (version_2("20000000 100000\n"), 64),
    (version_2("25000 50000\n", "pod/box/", "/pod/box"), 1),
    (version_2("50000 100000\n", "pod/", "/pod/box"), 1),
    (version_2("50000 100000\n", seen_as="/docker/0a1b"), 1),
    (version_2("50000 100000\n", "unified/"), 1),
    (version_1("50000\n"), 1),
    (version_1("150000\n", "cpu"), 2),
    (version_1("-1\n"), 64),
    (version_1("50000\n", seen_as="/docker/0a1b"), 1),
    ({"proc/self/cgroup": ""}, 64),
    (version_2("nonsense"), 64),
    ({}, 64),
])  # fmt: skip
def test_a_containers_quota_counts_as_its_cores(
    files: dict[str, str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert cores.usable_cores(written(tmp_path, files)) == expected


def test_usable_cores_are_those_this_process_may_run_on() -> None:
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    assert 1 <= cores.usable_cores() <= (len(allowed) or os.cpu_count() or 1)


@pytest.mark.parametrize(("asked", "threads"), [
    ("3", 3), ("3,1", 3), (" 3 ", 3), ("0", None), ("-1", None), ("", None), ("many", None),
])  # fmt: skip
def test_the_threads_that_were_asked_for_are_taken(
    asked: str, threads: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(sharing, "usable_cores", lambda: 8)
    assert devices.choose("cpu").threads == (threads or cores.usable_cores())
    assert devices.choose("cpu", threads=2).threads == 2, "of a ledger that is there"
    assert sharing.threads_for(2, "cpu") == (None if threads else 4)
