"""One laboratory for all faults, and the line that counts them."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.faults.lab import Lab

HERE = Path(__file__).parent
PART = {
    "test_addresses": 1,
    "test_empty_studies": 4,
    "test_failures": 2,
    "test_hosts": 1,
    "test_side_by_side": 2,
    "test_signals": 2,
    "test_stores": 2,
    "test_tracking_server": 1,
}
LAB = pytest.StashKey[Lab]()
CONTROL = pytest.StashKey[list[str]]()
COUNTED = pytest.StashKey[Counter[str]]()
LOST = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def lab(fresh_databases: Path, pytestconfig: pytest.Config) -> Iterator[Lab]:
    """In memory where that is possible: a kill loses nothing that was written, a disk is slower."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(
        prefix="faults-",
        dir=memory if os.access(memory, os.W_OK) else None,
        ignore_cleanup_errors=True,
    ) as folder:
        made = Lab(fresh_databases, Path(folder))
        pytestconfig.stash[LAB] = made
        yield made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a test that starts studies in many cases a part takes one or two of them."""
    if config.getoption("--faults") == "all":
        return
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.path.parent == HERE and item.path.stem in PART:
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left = {case for each in cases.values() for case in each if case not in _spread(each)}
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]


def _spread(cases: list[pytest.Item]) -> list[pytest.Item]:
    return cases[:: -(-len(cases) // PART[cases[0].path.stem])]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Sum up; one of several pytest-xdist processes tells the one that started it."""
    lab = session.config.stash.get(LAB, None)
    if lab is None:
        return
    control = session.config.stash.get(CONTROL, [])
    output = getattr(session.config, "workeroutput", None)
    if output is None:
        _add(session.config, lab.injected, lab.lost, [])
    else:
        output["faults"] = (dict(lab.injected), lab.lost, control)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take in what one process has told."""
    if "faults" in getattr(node, "workeroutput", {}):
        _add(node.config, *node.workeroutput["faults"])


def _add(
    config: pytest.Config, injected: Mapping[str, int], lost: list[str], control: list[str]
) -> None:
    config.stash.setdefault(COUNTED, Counter()).update(injected)
    config.stash.setdefault(LOST, []).extend(lost)
    config.stash.setdefault(CONTROL, []).extend(control)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    counted = config.stash.get(COUNTED, None)
    if counted is None:
        return
    terminalreporter.section("faults")
    for kind, count in sorted(counted.items()):
        terminalreporter.line(f"{count:6}  {kind}")
    for failure in config.stash.get(CONTROL, []):
        terminalreporter.line(f"control (the naive loop): {failure}")
    lost = len(config.stash.get(LOST, []))
    terminalreporter.line(f"{counted.total()} faults injected, {lost} lost")
