"""The best: the measure at one setting less that at the best other setting."""

from collections.abc import Mapping

import numpy as np

from fashion_hpo.design.claim_kinds.kind import (
    Cells,
    Design,
    Kind,
    Level,
    Part,
    Statistic,
    at_text,
    check_levels,
    claim_kind,
    levels_text,
    whole,
)


@claim_kind
class Best(Kind):
    """`best={field: level}`: the measure at these levels less that of the best other combination of
    levels of the same fields."""

    value: Mapping[str, Level]
    directions = ("lower", "higher")

    def check(self, where: str, part: Part, scientific: Design) -> None:
        """At least one field and its level."""
        check_levels(where, "best", self.value, scientific)
        if not self.value:
            raise ValueError(f"{where}: best is {{}}; name at least one field and its level.")

    @property
    def compared(self) -> list[str]:
        """All fields that are named."""
        return list(self.value)

    def statistic(self, cells: Cells, part: Part) -> Statistic:
        """Less the best other, seed by seed."""
        named = f"{part.name} with {levels_text(self.value)} against the best other"
        named += at_text(part.at)
        levels = self._others(cells, part)
        if not levels:
            return Statistic(np.empty(0), named, "–")
        chosen, *others = whole(
            *(cells.mean({**part.at, **setting}) for setting in (self.value, *levels))
        )
        is_higher = part.direction == "higher"
        values = chosen - (np.max if is_higher else np.min)(others, axis=0)
        if not len(chosen):
            return Statistic(values, named, "–")
        means = [side.mean() for side in others]
        rival = int(np.argmax(means) if is_higher else np.argmin(means))
        against = f"{part.mean_text(others[rival])} ({levels_text(levels[rival])})"
        return Statistic(values, named, f"{part.mean_text(chosen)} against {against}")

    def _others(self, cells: Cells, part: Part) -> list[dict[str, Level]]:
        """Every other combination of the named fields' levels."""
        places = [cells.fields.index(name) for name in self.value]
        selected = zip(cells.levels, cells.at(part.at), strict=True)
        settings = dict.fromkeys(
            tuple(cell[place] for place in places) for cell, is_selected in selected if is_selected
        )
        named = [dict(zip(self.value, levels, strict=True)) for levels in settings]
        return [levels for levels in named if levels != dict(self.value)]
