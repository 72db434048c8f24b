"""Checks of values in study files: a failure names the field, its value and what is allowed."""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from fashion_hpo.design.sentences import MOST_LISTED, did_you_mean


def plain(value: Any) -> Any:
    """Numbers of numpy and torch as Python's, also within dicts, lists and tuples.

    Ids and ledgers are JSON, which has no other numbers.
    """
    if isinstance(value, Mapping):
        return {plain(name): plain(item) for name, item in value.items()}
    if type(value) in (tuple, list):
        return type(value)(map(plain, value))
    is_scalar = getattr(value, "shape", None) == () and hasattr(value, "item")
    return value.item() if is_scalar else value


def make_plain(values: Any) -> None:
    """Convert the fields of a frozen dataclass by `plain`; for `__post_init__`."""
    for field in dataclasses.fields(values):
        object.__setattr__(values, field.name, plain(getattr(values, field.name)))


def is_number(value: object) -> bool:
    """Whether the value is a finite number and not a bool."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def check_flag(name: str, value: object) -> None:
    """Raise ValueError unless the value is True or False."""
    if type(value) is not bool:
        raise ValueError(f"{name} is {value!r}; allowed is True or False.")


def check_mapping(name: str, value: object) -> None:
    """Raise ValueError unless the value is a dict."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {value!r}; allowed is a dict.")


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Raise ValueError unless the value is a whole number from `least`."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}; allowed is a whole number from {least}.")


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    allowed = list(choices)
    if value not in allowed:
        names = [*map(str, allowed)]
        every = f"choose one of {', '.join(names) or 'none'}."
        near = did_you_mean(str(value), names) if len(names) > MOST_LISTED else ""
        raise ValueError(f"{name} is {value!r}; {near or every}")
