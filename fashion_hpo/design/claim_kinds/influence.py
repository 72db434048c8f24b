"""The influence: a field's share of the measure's variance less each other field's."""

from collections.abc import Mapping

import numpy as np

from fashion_hpo.design.checks import check_choice
from fashion_hpo.design.claim_kinds.kind import (
    Cells,
    Design,
    Kind,
    Part,
    Scale,
    Statistic,
    claim_kind,
    whole,
)


@claim_kind
class Influence(Kind):
    """`influence=field`: the field's share of the variance of the measure over a full factorial
    (its main effect) less the share of each other field, one by one."""

    value: str
    directions = ("higher",)

    def check(self, where: str, part: Part, scientific: Design) -> None:
        """One of several fields that vary, over the whole design."""
        several = [name for name, levels in scientific.items() if len(levels) > 1]
        check_choice(f"{where}: influence", self.value, several)
        if len(several) < 2:
            raise ValueError(
                f"{where}: influence is {self.value!r}, and no other field varies; add one."
            )
        if part.at:
            raise ValueError(f"{where}: at is {part.at!r}; influence is over the whole design.")

    def statistics(self, cells: Cells, part: Part) -> list[Statistic]:
        """Differences of the fields' main effects: a share is the variance of a field's level means
        over that of all cells.  All shares add up to 1 less the interactions' share."""
        (complete,) = whole(cells.values)
        counts = [len({cell[place] for cell in cells.levels}) for place in range(len(cells.fields))]
        grid = complete.reshape(len(complete), *counts)
        total = complete.var(axis=1)
        grid, total = grid[total > 0], total[total > 0]
        shares = {}
        for axis, name in enumerate(cells.fields, 1):
            rest = tuple(other for other in range(1, grid.ndim) if other != axis)
            shares[name] = grid.mean(axis=rest).var(axis=1) / total
        whose = f"{self.value}'s share of the variance of {part.name} less"
        return [
            Statistic(shares[self.value] - share, f"{whose} {name}'s", _means(shares))
            for name, share in shares.items()
            if name != self.value
        ]

    def scale(self, part: Part) -> Scale:
        """A difference of shares, whatever the measure."""
        return Scale(True, " points")


def _means(shares: Mapping[str, np.ndarray]) -> str:
    """The fields' mean shares, the largest first."""
    if not len(next(iter(shares.values()))):
        return "–"
    ranked = sorted(shares.items(), key=lambda item: -item[1].mean())
    return ", ".join(f"{name} {share.mean():.1%}".replace("%", " %") for name, share in ranked)
