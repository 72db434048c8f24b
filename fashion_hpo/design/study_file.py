"""Find and read study files: `studies/NAME.py`, each with a docstring and one `STUDY`."""

import ast
import runpy
from pathlib import Path
from typing import Literal

from fashion_hpo.design.reports import PACKAGED
from fashion_hpo.design.sentences import did_you_mean, listed, shortened
from fashion_hpo.design.spec import StudySpec, check_name
from fashion_hpo.files.atomic import write_atomically

LARGEST = 2**18  # bytes of a study file
LONGEST_REASON = 300  # characters of an exception from a study file


class NoStudyError(ValueError):
    """No study file has this name."""


def study_folders() -> list[Path]:
    """The folders of study files: ./studies first, then the project's."""
    local = Path("studies").resolve()
    return [folder for folder in dict.fromkeys((local, PACKAGED)) if folder.is_dir()]


def list_studies() -> dict[str, Path]:
    """The files of all studies by name."""
    files: dict[str, Path] = {}
    for folder in study_folders():
        for path in sorted(folder.glob("[a-z]*.py")):
            files.setdefault(path.stem, path)
    return files


def new_study(name: str, kind: Literal["design", "search"]) -> Path:
    """Write a commented example as ./studies/NAME.py; returns its path.

    Raises ValueError if a study has this name already.
    """
    if check_name(name) in (known := list_studies()):
        raise ValueError(f"study {name} exists already, as {known[name]}; choose another name.")
    text = (PACKAGED / f"_new_{kind}.py").read_text(encoding="utf-8").replace("NAME", name)
    path = Path("studies").resolve() / f"{name}.py"
    write_atomically(path, text.encode())
    return path


def replaces(path: Path) -> bool:
    """Whether a user's study replaces a study of the project with the same name."""
    return path.parent != PACKAGED and (PACKAGED / path.name).is_file()


def question_of(path: Path) -> str:
    """The first paragraph of a study's docstring, read without running the file."""
    try:
        return _question(_read(path))
    except ValueError as error:
        return f"cannot be read: {error}"


def load_study(name: str) -> tuple[str, StudySpec]:
    """A study's question and spec.

    Raises ValueError for an unknown name, with suggestions, and for an invalid study file.
    """
    known = list_studies()
    if check_name(name) not in known:
        every = f"there are {listed(known, '`python -m fashion_hpo.study --list`')}."
        hint = did_you_mean(name, known) or every
        if not known:
            hint = "there is none; write one, or install fashion_hpo from its wheel or checkout."
        raise NoStudyError(f"study is {name!r}, which is not in studies/; {hint}")
    path = known[name]
    question = _question(_read(path))
    try:
        spec = runpy.run_path(str(path)).get("STUDY")
    except (Exception, SystemExit) as error:  # a study file is a user's code: it may raise anything
        reason = f"sys.exit({error})" if isinstance(error, SystemExit) else str(error)
        raise ValueError(f"{path.name}: {_brief(reason) or type(error).__name__}") from error
    if not isinstance(spec, StudySpec):
        raise ValueError(f"{path.name} has no STUDY = StudySpec(...); add one.")
    return question, spec


def _read(path: Path) -> ast.Module:
    """The syntax tree of a study file; raises ValueError for a file that cannot be a study."""
    if not path.is_file():
        raise ValueError(f"{path.name} is not a file; a study is one Python file.")
    if not path.resolve().is_relative_to(path.parent.resolve()):
        raise ValueError(f"{path.name} is a link out of {path.parent}; put the file itself there.")
    if (size := path.stat().st_size) > LARGEST:
        raise ValueError(f"{path.name} has {size} bytes; allowed are {LARGEST}.")
    try:
        return ast.parse(path.read_bytes(), path.name)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
        raise ValueError(f"{path.name}: {_brief(error) or type(error).__name__}") from None


def _question(tree: ast.Module) -> str:
    text = ast.get_docstring(tree) or ""
    return " ".join(text.split("\n\n")[0].split())


def _brief(reason: object) -> str:
    return shortened(reason, LONGEST_REASON)
