"""docs/dependencies.md lists each use of another package beyond its public interface."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
BEYOND = TEXT.partition("beyond the public interface")[2]
OUR_OWN = {"self", "cls", "store"}
DOCUMENTED = {"_replace", "_exit", "_typeshed"}  # of named tuples, of os, and a module for types


def private_names(source: str) -> Iterator[str]:
    """Names with a leading underscore that a file takes from another object or module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in OUR_OWN:
            names = [node.attr]
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        else:
            continue
        yield from (name for name in names if re.match(r"_(?!_)", name))


def test_every_private_name_is_listed() -> None:
    paths = (ROOT / "fashion_hpo").rglob("*.py")
    names = {name for path in paths for name in private_names(path.read_text(encoding="utf-8"))}
    assert names >= {"_C", "_format_usage"}
    assert {name for name in names - DOCUMENTED if not re.search(rf"\b{name}\b", BEYOND)} == set()


def test_every_listed_test_and_module_is_there() -> None:
    paths = re.findall(r"`(tests/[\w/]+\.py)`", BEYOND)
    paths += [f"fashion_hpo/{name}" for name in re.findall(r"`(\w+/\w+\.py)`", BEYOND)]
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_packages_used_beyond_their_interface_are_bounded() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    bounded = {re.split(r"[>=]", text)[0] for text in project["dependencies"] if ",<" in text}
    listed = {line.split("|")[1].strip() for line in BEYOND.splitlines() if line.startswith("| ")}
    assert listed - {"package", "python"} == bounded
