"""docs/extending.md, followed literally in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"([^\n]+(?:\n[^\n]+)*)\n\n```(?:python)?\n(.*?)```\n", re.S)
NEW_FILE = re.compile(r"New file `([^`]+)`:")
AT_THE_END = re.compile(r"At the end of `([^`]+)`:")
UNDER = re.compile(r"One (?:line|row) in `([^`]+)`, under\s`([^`]+)`:")
RECIPES = ("A new architecture", "A new measure", "A new kind of claim")


def sections() -> dict[str, str]:
    """The text under each heading."""
    _, *parts = re.split(r"^## (.+)\n", TEXT, flags=re.M)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def follow(root: Path, text: str) -> None:
    """Do what every code block of a recipe says."""
    for sentence, code in BLOCK.findall(text):
        if created := NEW_FILE.fullmatch(sentence):
            path = root / created[1]
            assert not path.exists()
            path.write_text(code, encoding="utf-8")
        elif extended := AT_THE_END.fullmatch(sentence):
            path = root / extended[1]
            before = path.read_text(encoding="utf-8")
            path.write_text(f"{before}\n\n{code}", encoding="utf-8")
        else:
            under = UNDER.fullmatch(sentence)
            assert under is not None, sentence
            path, anchor = root / under[1], f"{under[2]}\n"
            before = path.read_text(encoding="utf-8")
            assert before.count(anchor) == 1, anchor
            path.write_text(before.replace(anchor, anchor + code), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with everything that the page adds."""
    root = tmp_path_factory.mktemp("extended")
    leave = shutil.ignore_patterns("__pycache__")
    for name in ("fashion_hpo", "studies"):
        shutil.copytree(PROJECT / name, root / name, ignore=leave)
    shutil.copy(PROJECT / "pyproject.toml", root)
    for text in sections().values():
        follow(root, text)
    return root


def run(root: Path, *arguments: str) -> str:
    own = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=root, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_one_file_and_one_line(name: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall(sections()[name])
    (file, _), (line, code) = blocks
    assert NEW_FILE.fullmatch(file) or AT_THE_END.fullmatch(file)
    assert UNDER.fullmatch(line)
    assert code.startswith("from ") == (code.count("\n") == 1), "an import, or a row of a table"


def test_what_is_added_is_formatted_like_the_rest(extended: Path) -> None:
    changed = [
        str(extended / path) for path in re.findall(r"(?:file|end of|in) `([^`]+\.py)`[,:]", TEXT)
    ]
    assert len(changed) == 8
    run(extended, "-m", "ruff", "check", "--no-cache", *changed)
    run(extended, "-m", "ruff", "format", "--no-cache", "--check", *changed)


def test_a_study_has_the_new_network_measure_and_kind_of_claim(
    extended: Path, real_data: Path
) -> None:
    command = (
        "-m",
        "fashion_hpo.study",
        "confidence_of_linear",
        "--data",
        str(real_data.resolve()),
    )
    said = " ".join(run(extended, *command).split())
    verdict = r"linear\.a is [a-z ]+: the rise of mean confidence at learning_rate 0\.01: [+-]"
    assert re.search(
        verdict + r"[\d.]+ points \(95 % interval [^)]+\), 2 seeds; claimed higher", said
    )
    report = next((extended / "mlruns").rglob("report.html")).read_text(encoding="utf-8")
    assert "the rise of mean confidence at learning_rate 0.01" in report
