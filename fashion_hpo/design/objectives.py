"""The measures that a search can optimise, by name."""

from collections.abc import Sequence
from typing import Literal

from fashion_hpo.design.checks import check_choice
from fashion_hpo.design.measures import MEASURES

Direction = Literal["maximize", "minimize"]
VALUE = "val_accuracy"  # of the exported model: a trial's value

OBJECTIVES = {name: MEASURES[name] for name in (VALUE, "parameters", "flops", "latency")}


def check_objectives(names: object) -> None:
    """Raise ValueError unless these are objectives, each once, the validation accuracy first."""
    role = "search.objectives"
    if not isinstance(names, tuple | list) or not names:
        raise ValueError(f"{role} is {names!r}; allowed is a tuple of objectives.")
    for name in names:
        check_choice(role, name, OBJECTIVES)
    if len(set(names)) < len(names):
        raise ValueError(f"{role} is {names!r}; name each objective once.")
    if names[0] != VALUE:
        raise ValueError(
            f"{role} begins with {names[0]!r}; put {VALUE} first, by which the best is chosen."
        )


def directions(names: Sequence[str]) -> list[Direction]:
    """Which way each is better."""
    return ["maximize" if OBJECTIVES[name].better == "higher" else "minimize" for name in names]
