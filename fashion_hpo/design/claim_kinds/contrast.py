"""A contrast: the measure at one level less the measure at another."""

from fashion_hpo.design.checks import check_choice
from fashion_hpo.design.claim_kinds.kind import (
    Cells,
    Design,
    Kind,
    Level,
    Part,
    Scale,
    Statistic,
    at_text,
    claim_kind,
    difference_of,
    whole,
)
from fashion_hpo.design.formats import level_text

TwoLevels = tuple[str, Level, Level]
"""A field, the level to compare with, and the level that the claim is about."""


@claim_kind
class Contrast(Kind):
    """`contrast=(field, first, second)`: the measure at the second level less that at the first.

    A `relative` contrast is a share of the first side.
    """

    value: TwoLevels
    may_be_relative = True

    def check(self, where: str, part: Part, scientific: Design) -> None:
        """A field of the design and two levels of it."""
        check_two_levels(where, self.value, scientific)

    @property
    def compared(self) -> list[str]:
        """The field."""
        return [self.value[0]]

    def statistics(self, cells: Cells, part: Part) -> list[Statistic]:
        """Second less first, or their ratio less 1; a ratio is no sum."""
        name, first, second = self.value
        before, after = ({**part.at, name: level} for level in (first, second))
        named = f"{part.name} with {versus(self.value)}{at_text(part.at)}"
        difference = difference_of(cells, part, before, after, named)
        if not part.relative:
            return [difference]
        low, high = whole(cells.mean(before), cells.mean(after))
        return [difference._replace(values=high / low - 1, sides=None)]

    def scale(self, part: Part) -> Scale:
        """A ratio is written in percent."""
        return Scale(True, " %") if part.relative else super().scale(part)


def check_two_levels(where: str, value: object, scientific: Design) -> None:
    """Raise ValueError unless it is a field of the design and two levels of it."""
    if not isinstance(value, tuple | list) or len(value) != 3 or value[1] == value[2]:
        raise ValueError(
            f"{where}: contrast is {value!r}; allowed is a field and two levels of it."
        )
    name, *compared = value
    check_choice(f"{where}: contrast", name, scientific)
    for level in compared:
        check_choice(f"{where}: level of {name}", level, scientific[name])


def versus(contrast: TwoLevels) -> str:
    """`dropout 0.5 against 0`."""
    name, first, second = contrast
    return f"{name} {level_text(second)} against {level_text(first)}"
