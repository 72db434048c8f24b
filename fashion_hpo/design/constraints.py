"""What a search's best may cost at most: upper bounds on numbers that every network's trial has."""

from collections.abc import Mapping

from fashion_hpo.design.checks import check_choice, check_mapping, is_number
from fashion_hpo.design.measures import MEASURES
from fashion_hpo.design.objectives import OBJECTIVES, VALUE

OF_NETWORKS = tuple(name for name in OBJECTIVES if name != VALUE)  # a classical classifier has none
CONSTRAINABLE = (*OF_NETWORKS, "ece", "brier_score", "generalization_gap")
NOT_MEASURED = 1.0  # what a missing number counts for: nobody knows that the bound is kept


def check_constraints(bounds: object) -> None:
    """Raise ValueError unless these are finite upper bounds of measured numbers, by name."""
    check_mapping("search.constraints", bounds)
    assert isinstance(bounds, Mapping)
    for name, bound in bounds.items():
        check_choice("search.constraints", name, CONSTRAINABLE)
        if not is_number(bound):
            raise ValueError(
                f"search.constraints[{name!r}] is {bound!r}; allowed is a finite number, the most "
                "that a trial may have."
            )


def excesses(bounds: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """By how much each bound is exceeded, as a share of it; at most 0 where it is kept.

    Shares, because samplers add those of several bounds.
    """
    return {name: _excess(bound, measured.get(name)) for name, bound in bounds.items()}


def of_network(bounds: Mapping[str, float], measured: Mapping[str, float]) -> dict[str, float]:
    """Those that a trial which was ended early tells of: more training would not change them."""
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
