"""A figure: the measure itself against a number."""

from typing import Literal

from fashion_hpo.design.checks import is_number
from fashion_hpo.design.claim_kinds.kind import (
    Cells,
    Design,
    Kind,
    Part,
    Scale,
    Statistic,
    at_text,
    claim_kind,
    whole,
)
from fashion_hpo.design.measures import MEASURES


@claim_kind
class Figure(Kind):
    """`figure=number`: the measure is claimed to be beyond this number, or beyond the number of
    "epochs" that are trained."""

    value: float | Literal["epochs"]

    def check(self, where: str, part: Part, scientific: Design) -> None:
        """A number or "epochs"."""
        if self.value != "epochs" and not is_number(self.value):
            raise ValueError(f"{where}: figure is {self.value!r}; allowed is a number or 'epochs'.")

    def statistics(self, cells: Cells, part: Part) -> list[Statistic]:
        """The measure: one mean."""
        (values,) = whole(cells.mean(part.at))
        return [Statistic(values, f"{part.name}{at_text(part.at)}", "", [(part.at, 1)])]

    def scale(self, part: Part) -> Scale:
        """No difference: a share is written in percent, without a sign."""
        is_share = MEASURES[part.measure].is_share
        return Scale(is_share, " %" if is_share else "", "")

    def figure(self, epochs: int) -> float:
        """The number."""
        return epochs if self.value == "epochs" else self.value
