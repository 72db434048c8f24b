"""What a search may be after: by name, which way is better and how it is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fashion_hpo.design.checks import check_choice

Direction = Literal["maximize", "minimize"]
VALUE = "val_accuracy"  # of the exported model: a trial's value


@dataclass(frozen=True)
class Objective:
    """One objective; `unit` completes an axis title."""

    direction: Direction
    title: str
    unit: str


OBJECTIVES = {
    VALUE: Objective("maximize", "validation accuracy", "%"),
    "parameters": Objective("minimize", "parameters", "number"),
    "flops": Objective("minimize", "FLOPs of one image", "operations"),
    "latency": Objective("minimize", "latency of one image", "ms"),
}


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
    return [OBJECTIVES[name].direction for name in names]
