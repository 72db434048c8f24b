"""The end of a command's process."""

import subprocess
import sys
from pathlib import Path

END = r"""
import atexit, os, sys
from pathlib import Path
from fashion_hpo.terminal.command_line import run_alone

class Freed:
    def __del__(self, write=os.write):
        write(1, b"freed\n")

def main():
    from fashion_hpo.stores.layout import Store
    from fashion_hpo.stores.opening import connect

    global freed, storage
    freed, storage = Freed(), connect(Store(Path(sys.argv[1])))
    storage.create_new_study([])
    atexit.register(print, "registered")
    print("returned", *(path.name for path in Path(sys.argv[1]).glob("*.db-wal")), flush=True)
    if len(sys.argv) > 2:
        sys.exit(sys.argv[2])
    return 7

run_alone(main)
"""


def ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", END, *arguments],
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip


def test_a_command_ends_without_freeing_objects_and_leaves_no_log_of_sqlite(
    tmp_path: Path,
) -> None:
    done = ended(str(tmp_path))
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout == "returned optuna.db-wal\nregistered\n"
    assert not list(tmp_path.glob("*.db-*"))


def test_a_command_that_exits_by_itself_ends_as_ever(tmp_path: Path) -> None:
    done = ended(str(tmp_path), "a reason")
    assert (done.returncode, done.stderr) == (1, "a reason\n")
    assert done.stdout == "returned optuna.db-wal\nregistered\nfreed\n"
