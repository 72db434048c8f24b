"""What every command does before its own work."""

import argparse
import os

import pytest

from fashion_hpo.terminal import command_line


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, None)],
)
def test_threads_that_wait_sleep_soon_unless_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], spins: str | None
) -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, given.get(name, ""))  # restored at the end
        if name not in given:
            monkeypatch.delenv(name)
    told: list[str | None] = []

    def main(args: argparse.Namespace) -> int:
        told.append(os.environ.get("GOMP_SPINCOUNT"))
        return 0

    assert command_line.run(main, command_line.parser("status", "Tell."), []) == 0
    assert told == [spins]
