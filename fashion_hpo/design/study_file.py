"""Find and read study files: `studies/NAME.py`, each with a docstring and one `STUDY`."""

import ast
import runpy
from pathlib import Path

from fashion_hpo.design.reports import PACKAGED
from fashion_hpo.design.sentences import did_you_mean, listed, shortened
from fashion_hpo.design.spec import StudySpec, check_name

LARGEST = 2**18  # bytes; a study is a page of text
LONGEST_REASON = 300  # characters of what a study file raised


def study_folders() -> list[Path]:
    """Where studies are looked for: the present folder's first, then the project's."""
    own = Path("studies").resolve()
    return [folder for folder in dict.fromkeys((own, PACKAGED)) if folder.is_dir()]


def list_studies() -> dict[str, Path]:
    """Every study's name and file."""
    found: dict[str, Path] = {}
    for folder in study_folders():
        for path in sorted(folder.glob("[a-z]*.py")):
            found.setdefault(path.stem, path)
    return found


def replaces(path: Path) -> bool:
    """Whether a person's study has the name of one of the project's, and is taken instead."""
    return path.parent != PACKAGED and (PACKAGED / path.name).is_file()


def question_of(path: Path) -> str:
    """The first paragraph of a study's docstring, read without running the file."""
    try:
        return _question(_read(path))
    except ValueError as error:
        return f"cannot be read: {error}"


def load_study(name: str) -> tuple[str, StudySpec]:
    """A study's question and spec.

    Raises ValueError for an unknown name (with near ones) and for a file that is no valid study.
    """
    known = list_studies()
    if check_name(name) not in known:
        every = f"there are {listed(known, '`python -m fashion_hpo.study --list`')}."
        hint = did_you_mean(name, known) or every
        if not known:
            hint = "there is none; write one, or install fashion_hpo from its wheel or checkout."
        raise ValueError(f"study is {name!r}, which is not in studies/; {hint}")
    path = known[name]
    question = _question(_read(path))
    try:
        spec = runpy.run_path(str(path)).get("STUDY")
    except (Exception, SystemExit) as error:  # whatever it raises is about a person's own file
        reason = f"sys.exit({error})" if isinstance(error, SystemExit) else str(error)
        raise ValueError(f"{path.name}: {_brief(reason) or type(error).__name__}") from error
    if not isinstance(spec, StudySpec):
        raise ValueError(f"{path.name} has no STUDY = StudySpec(...); add one.")
    return question, spec


def _read(path: Path) -> ast.Module:
    """A study file's syntax tree; raises ValueError if it cannot be a study at all."""
    if not path.is_file():
        raise ValueError(f"{path.name} is no file; a study is one file of Python.")
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
