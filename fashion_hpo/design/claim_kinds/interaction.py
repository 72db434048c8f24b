"""An interaction: how much the effect of one field depends on another field."""

from fashion_hpo.design.claim_kinds.contrast import TwoLevels, check_two_levels, versus
from fashion_hpo.design.claim_kinds.kind import (
    Cells,
    Design,
    Kind,
    Part,
    Sides,
    Statistic,
    at_text,
    claim_kind,
    whole,
)


@claim_kind
class Interaction(Kind):
    """`interaction=(contrast, contrast)`: the first contrast at the second level of the other, less
    the first contrast at the first level of the other."""

    value: tuple[TwoLevels, TwoLevels]

    def check(self, where: str, part: Part, scientific: Design) -> None:
        """Two contrasts, of two fields."""
        value: object = self.value
        if not isinstance(value, tuple | list) or len(value) != 2:
            raise ValueError(f"{where}: interaction is {value!r}; allowed are two contrasts.")
        for contrast in value:
            check_two_levels(where, contrast, scientific)
        if value[0][0] == value[1][0]:
            raise ValueError(
                f"{where}: interaction has {value[0][0]!r} twice; contrast two fields."
            )

    @property
    def compared(self) -> list[str]:
        """Both fields."""
        return [contrast[0] for contrast in self.value]

    def statistics(self, cells: Cells, part: Part) -> list[Statistic]:
        """A difference of two differences."""
        inner, outer = self.value
        (field, first, second), (name, *levels) = inner, outer
        effects = [
            cells.mean({**part.at, name: level, field: second})
            - cells.mean({**part.at, name: level, field: first})
            for level in levels
        ]
        low, high = whole(*effects)
        named = (
            f"the effect on {part.name} of {versus(inner)}, with {versus(outer)}{at_text(part.at)}"
        )
        scale = self.scale(part)
        factor = 100 if scale.is_percentage else 1
        means = [
            f"{factor * side.mean():+.3g}{scale.unit}" if len(side) else "–" for side in (low, high)
        ]
        words = f"effect {means[0]} → {means[1]}"
        return [Statistic(high - low, named, words, self._sides(part))]

    def _sides(self, part: Part) -> Sides:
        """Four means."""
        (field, first, second), (name, before, after) = self.value
        return [
            ({**part.at, field: first, name: before}, 1),
            ({**part.at, field: first, name: after}, -1),
            ({**part.at, field: second, name: before}, -1),
            ({**part.at, field: second, name: after}, 1),
        ]
