"""What checks of study files share: one sentence with the field, its value and what is allowed."""

from collections.abc import Iterable, Mapping


def check_mapping(name: str, value: object) -> None:
    """Raise ValueError unless it is a dict."""
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {value!r}; allowed is a dict.")


def check_count(name: str, value: object, *, least: int = 1) -> None:
    """Raise ValueError unless it is a whole number from `least`."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name} is {value!r}; allowed is a whole number from {least}.")


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise ValueError unless it is one of these."""
    allowed = list(choices)
    if value not in allowed:
        shown = ", ".join(map(str, allowed)) or "none"
        raise ValueError(f"{name} is {value!r}; choose one of {shown}.")
