"""The folder of a person who types commands."""

from collections.abc import Iterable
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
