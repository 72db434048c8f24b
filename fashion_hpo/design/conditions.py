"""Conditional fields of a search: `when={"dropout": {"architecture": ("cnn", "lenet5")}}`.

A field with a condition is searched only where the condition holds; elsewhere it has the base
config's value, and points that differ there alone are one point.
"""

from collections.abc import Mapping
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from fashion_hpo.design.checks import check_mapping, plain
from fashion_hpo.design.sentences import did_you_mean

Values = Mapping[str, Any]
When = Mapping[str, Mapping[str, tuple[Any, ...]]]
"""By field: other fields, with the values at which the field is searched."""


def plain_conditions(when: Any) -> Any:
    """The conditions with tuples of plain values, also where a study file has a single value.

    What is no such mapping is refused when the study is checked.
    """
    if not isinstance(when, Mapping) or not all(isinstance(c, Mapping) for c in when.values()):
        return when
    return {
        field: {other: _values(given) for other, given in conditions.items()}
        for field, conditions in when.items()
    }


def _values(given: Any) -> tuple[Any, ...]:
    return tuple(map(plain, given if isinstance(given, tuple | list) else (given,)))


def is_searched(field: str, values: Values, when: When) -> bool:
    """Whether a field is searched at these values of the other fields."""
    return all(values[other] in allowed for other, allowed in when.get(field, {}).items())


def searched(values: Values, when: When) -> dict[str, Any]:
    """The values without those of fields that are not searched there."""
    return {name: value for name, value in values.items() if is_searched(name, values, when)}


def check_conditions(when: object, space: Mapping[str, BaseDistribution], sampler: str) -> None:
    """Raise ValueError, naming the field and what is allowed, for an invalid condition."""
    check_mapping("search.when", when)
    assert isinstance(when, Mapping)
    if when and sampler == "gp":
        raise ValueError(
            'search.when has conditions, and search.sampler is "gp", which has none; choose '
            '"tpe", "random" or "quasi_random".'
        )
    for field, conditions in when.items():
        _check_field(f"search.when has {field!r}", field, space)
        check_mapping(f"search.when[{field!r}]", conditions)
        for other, values in conditions.items():
            where = f"search.when[{field!r}] has {other!r}"
            _check_field(where, other, space)
            if other in when:
                raise ValueError(f"{where}, which has a condition of its own; name another field.")
            distribution = space[other]
            if not isinstance(distribution, CategoricalDistribution):
                raise ValueError(f"{where}, whose range is no CategoricalDistribution; name one.")
            unknown = [value for value in values if value not in distribution.choices]
            if unknown or not values:
                choices = ", ".join(map(repr, distribution.choices))
                raise ValueError(f"{where} with {values!r}; allowed are values among {choices}.")


def _check_field(where: str, field: str, space: Mapping[str, BaseDistribution]) -> None:
    if field not in space:
        hint = did_you_mean(str(field), space) or f"it has {', '.join(space)}."
        raise ValueError(f"{where}, which search.space has not; {hint}")
