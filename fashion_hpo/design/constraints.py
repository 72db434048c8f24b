"""Constraints of a search: upper bounds on measures of a trial, such as its parameters."""

from collections.abc import Mapping

from fashion_hpo.design.checks import check_choice, check_mapping, is_number
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.objectives import OBJECTIVES, VALUE

OF_NETWORKS = tuple(name for name in OBJECTIVES if name != VALUE)  # not of classical classifiers
CONSTRAINABLE = (*OF_NETWORKS, "ece", "brier_score", "generalization_gap")
NOT_MEASURED = 1.0  # excess of a missing value: the bound may be exceeded


def check_constraints(bounds: object) -> None:
    """Raise ValueError unless `bounds` maps names of measures to finite numbers."""
    check_mapping("search.constraints", bounds)
    assert isinstance(bounds, Mapping)
    for name, bound in bounds.items():
        check_choice("search.constraints", name, CONSTRAINABLE)
        if not is_number(bound):
            raise ValueError(
                f"search.constraints[{name!r}] is {bound!r}; allowed is a finite number, the "
                "upper bound."
            )


def excesses(bounds: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """The excess over each bound, relative to the bound; 0 or less if the bound is kept.

    Relative, because samplers add the excesses of several bounds.
    """
    return {name: _excess(bound, measured.get(name)) for name, bound in bounds.items()}


def of_network(bounds: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """The bounds that apply to a pruned trial: on measures that training does not change."""
    return {name: bounds[name] for name in bounds if name in OF_NETWORKS and name in measured}


def is_feasible(bounds: Mapping[str, float], measured: Mapping[str, float]) -> bool:
    """Whether every bound is kept."""
    return all(excess <= 0 for excess in excesses(bounds, measured).values())


def in_words(bounds: Mapping[str, float]) -> str:
    """`parameters at most 50,000, calibration error at most 0.05`."""
    return ", ".join(
        f"{MEASURES[name].title} at most {_shown(bound)}" for name, bound in bounds.items()
    )


def _excess(bound: float, measured: float | None) -> float:
    if measured is None:
        return NOT_MEASURED
    return (measured - bound) / (abs(bound) or 1.0)


def _shown(bound: float) -> str:
    return f"{bound:,.0f}" if float(bound).is_integer() else f"{bound:g}"
