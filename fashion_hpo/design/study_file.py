"""Find and read study files: `studies/NAME.py`, each with a docstring and one `STUDY`."""

import ast
import runpy
from difflib import get_close_matches
from pathlib import Path

from fashion_hpo.design.spec import StudySpec, check_name

PACKAGED = Path(__file__).parents[2] / "studies"


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


def question_of(path: Path) -> str:
    """The first paragraph of a study's docstring, read without running the file."""
    try:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    except (SyntaxError, ValueError) as error:
        return f"cannot be read: {error}"
    return " ".join(text.split("\n\n")[0].split())


def load_study(name: str) -> tuple[str, StudySpec]:
    """A study's question and spec.

    Raises ValueError for an unknown name (with near ones) and for a file that is no valid study.
    """
    known = list_studies()
    if check_name(name) not in known:
        near = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}."
        raise ValueError(f"study is {name!r}, which is not in studies/; {hint}")
    path = known[name]
    try:
        spec = runpy.run_path(str(path)).get("STUDY")
    except Exception as error:  # a person's own file: whatever it raises is about that file
        raise ValueError(f"{path.name}: {str(error) or type(error).__name__}") from error
    if not isinstance(spec, StudySpec):
        raise ValueError(f"{path.name} has no STUDY = StudySpec(...); add one.")
    return question_of(path), spec
