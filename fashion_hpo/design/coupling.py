"""Coupled fields: `coupled={"batch_size": {512: {"learning_rate": 4e-3}}}`.

At these values of a varied field, other fields have these values too; at its other values they have
the base config's.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from fashion_hpo.design.checks import check_mapping
from fashion_hpo.design.config import check_varied
from fashion_hpo.design.formats import level_text
from fashion_hpo.design.sentences import did_you_mean

Coupled = Mapping[str, Mapping[Any, Mapping[str, Any]]]
"""By varied field, by its value: the values of other fields."""
SIZES = ("epochs", "train_images")  # which budgets set


def brought(values: Mapping[str, Any], coupled: Coupled) -> dict[str, Any]:
    """The values of other fields that these values of varied fields bring along."""
    found: dict[str, Any] = {}
    for field, by_value in coupled.items():
        if field in values:
            found |= by_value.get(values[field], {})
    return found


def coupled_fields(coupled: Coupled) -> set[str]:
    """The fields whose values are brought along."""
    return {
        name for by_value in coupled.values() for others in by_value.values() for name in others
    }


def in_words(coupled: Coupled) -> list[str]:
    """`batch_size 512: learning_rate 0.004`, a line for each value."""
    return [
        f"{field} {level_text(value)}: {_named(others)}"
        for field, by_value in coupled.items()
        for value, others in by_value.items()
    ]


def _named(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {level_text(value)}" for name, value in values.items()) or "none"


def to_extent(coupled: Coupled, levels: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The form in which a ledger stores them: JSON has no numbers as keys.

    Of a field with levels, only those at its levels.
    """
    return {
        field: [
            [value, dict(others)]
            for value, others in by_value.items()
            if value in levels.get(field, by_value)
        ]
        for field, by_value in coupled.items()
    }


def from_extent(extent: Mapping[str, Any]) -> dict[str, dict[Any, Mapping[str, Any]]]:
    """Those that a ledger stores; a ledger without coupled fields stores none."""
    return {field: dict(pairs) for field, pairs in extent.get("coupled", {}).items()}


def grown(coupled: Coupled, stored: Coupled) -> Coupled:
    """A plan's coupled fields, with those of its ledger."""
    return {
        field: {**coupled.get(field, {}), **stored.get(field, {})}
        for field in dict.fromkeys([*coupled, *stored])
    }


def changes(stored: Coupled, given: Coupled, levels: Mapping[str, Sequence[Any]]) -> Iterable[str]:
    """How the values differ that a ledger and a plan bring along at the levels of the ledger."""
    for field in dict.fromkeys([*stored, *given]):
        old, new = stored.get(field, {}), given.get(field, {})
        for value in levels.get(field, dict.fromkeys([*old, *new])):
            before, after = old.get(value, {}), new.get(value, {})
            if before != after:
                at = f"{field} {level_text(value)}"
                yield f"coupled values at {at}: {_named(before)} → {_named(after)}"


def check_coupled(
    coupled: object,
    scientific: Mapping[str, Sequence[Any]],
    ranges: Mapping[str, BaseDistribution],
) -> None:
    """Raise ValueError, naming the field and what is allowed, for invalid coupled fields."""
    check_mapping("coupled", coupled)
    assert isinstance(coupled, Mapping)
    whose: dict[str, str] = {}
    for field, by_value in coupled.items():
        allowed = _values(field, scientific, ranges)
        where = f"coupled[{field!r}]"
        check_mapping(where, by_value)
        for value, others in by_value.items():
            if value not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise ValueError(f"{where} has {value!r}; allowed are values among {choices}.")
            check_mapping(f"{where}[{value!r}]", others)
            for other in others:
                _check_other(f"{where}[{value!r}]", other, {*scientific, *ranges})
                if whose.setdefault(other, field) != field:
                    raise ValueError(
                        f"coupled[{whose[other]!r}] and {where} both have {other!r}; couple it "
                        "with one field."
                    )


def _values(
    field: object, scientific: Mapping[str, Sequence[Any]], ranges: Mapping[str, BaseDistribution]
) -> Sequence[Any]:
    """The levels or choices of a varied field."""
    if field in scientific:
        return scientific[str(field)]
    if field not in ranges:
        varied = [*scientific, *ranges]
        hint = did_you_mean(str(field), varied) or f"it varies {', '.join(varied)}."
        raise ValueError(f"coupled has {field!r}, which the study does not vary; {hint}")
    distribution = ranges[str(field)]
    if not isinstance(distribution, CategoricalDistribution):
        raise ValueError(
            f"coupled has {field!r}, whose range is no CategoricalDistribution; name one."
        )
    return distribution.choices


def _check_other(where: str, other: str, varied: set[str]) -> None:
    if other in varied:
        raise ValueError(f"{where} has {other!r}, which the study varies itself; leave it out.")
    if other in SIZES:
        raise ValueError(f"{where} has {other!r}, which budgets set; leave it out.")
    check_varied(where, other)
