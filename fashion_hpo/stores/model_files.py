"""Hash a model's files, and compare the files with their hashes.

Imports neither torch nor MLflow: a command that only reads results starts without them.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

RUNNABLE = {
    ".py", ".pyc", ".pth", ".pt", ".pt2", ".pkl", ".pickle", ".joblib", ".so", ".dll", ".dylib",
}  # fmt: skip
RUNNABLE_NAMES = {"pickle_module_info.txt"}  # names a module that MLflow imports
DESKTOP_FILES = {"Thumbs.db", "desktop.ini"}


def file_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every file by its path in the folder, without locks and desktops' files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in files
        if path.name != "lock" and path.name not in DESKTOP_FILES and path.name[0] != "."
    }


def hashes_in(files: Mapping[str, str]) -> dict[str, str]:
    """The hashes of a trial's model files, by their path in the model's folder."""
    return {
        name.removeprefix("model/"): sha256
        for name, sha256 in files.items()
        if name.startswith("model/")
    }


def changes(folder: Path, expected: Mapping[str, str]) -> list[str]:
    """How a folder's files differ from the expected ones, such as "MLmodel is altered".

    An added file counts only if it could be run.
    """
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    states = {name: "added" for name in files if name not in expected and is_runnable(name)}
    for name, sha256 in expected.items():
        if name not in files or not files[name].is_file():
            states[name] = "missing"
        elif files[name].is_symlink() or _sha256(files[name]) != sha256:
            states[name] = "altered"
    return [f"{name} is {state}" for name, state in sorted(states.items())]


def remedy(folder: Path, change: str) -> str:
    """What a person can do about one of the `changes`."""
    verb = "move it out of" if change.endswith(" is added") else "put the file as it was back into"
    return f"{verb} {folder}"


def is_runnable(name: str) -> bool:
    """Whether Python or MLflow could run a file of this name, given by its path in the folder."""
    path = Path(name)
    return path.suffix.lower() in RUNNABLE or path.name in RUNNABLE_NAMES


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
