"""The folder of a person who types commands, and what a folder contains."""

import gc
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pytest

from fashion_hpo.terminal import command_line
from fashion_hpo.training.data import SearchSplits


def enter(
    folder: Path,
    splits: SearchSplits,
    monkeypatch: pytest.MonkeyPatch,
    plans: str,
    names: Iterable[str],
) -> None:
    """Work in a folder with studies, on synthetic images, without addresses in the environment.

    plans: the module whose PLANS has the studies' plans by name.
    """
    for name in command_line.ADDRESSES:
        monkeypatch.delenv(name, raising=False)
    for module in ("training.data", "running.session"):
        monkeypatch.setattr(f"fashion_hpo.{module}.load_or_download", lambda *_: splits)
    monkeypatch.chdir(folder)
    (folder / "studies").mkdir()
    for name in names:
        text = f'"""Does it run?"""\nfrom {plans} import PLANS\nSTUDY = PLANS[{name!r}].spec\n'
        (folder / "studies" / f"{name}.py").write_text(text)


def content(folder: Path, *passing: str) -> dict[Path, str]:
    """Hash of each file under a folder (or of the file itself), but names that end as in `passing`.

    Connections to databases that earlier commands of this process left open are closed first:
    otherwise the garbage collector closes them at any time, and sqlite then changes the files.
    """
    if any(folder.rglob("*.db")):
        gc.collect()
    files = (path for path in [folder, *folder.rglob("*")] if path.is_file())
    return {
        path: sha256(path.read_bytes()).hexdigest()
        for path in files
        if not path.name.endswith(passing)
    }
