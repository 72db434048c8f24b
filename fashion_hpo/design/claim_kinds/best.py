"""The best: the measure at one setting less that at each other setting."""

from collections.abc import Mapping

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
    difference_of,
    levels_text,
)


@claim_kind
class Best(Kind):
    """`best={field: level}`: the measure at these levels less that of every other combination of
    levels of the same fields, one by one: the best must beat each."""

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

    def statistics(self, cells: Cells, part: Part) -> list[Statistic]:
        """Less each rival, seed by seed."""
        chosen = {**part.at, **self.value}
        return [
            difference_of(cells, part, {**part.at, **rival}, chosen, self._named(part, rival))
            for rival in self._rivals(cells, part)
        ]

    def _named(self, part: Part, rival: Mapping[str, Level]) -> str:
        against = f"{levels_text(self.value)} against {levels_text(rival)}"
        return f"{part.name} with {against}{at_text(part.at)}"

    def _rivals(self, cells: Cells, part: Part) -> list[dict[str, Level]]:
        """Every other combination of the named fields' levels."""
        places = [cells.fields.index(name) for name in self.value]
        selected = zip(cells.levels, cells.at(part.at), strict=True)
        settings = dict.fromkeys(
            tuple(cell[place] for place in places) for cell, is_selected in selected if is_selected
        )
        named = [dict(zip(self.value, levels, strict=True)) for levels in settings]
        return [levels for levels in named if levels != dict(self.value)]
