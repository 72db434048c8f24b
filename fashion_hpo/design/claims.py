"""`Claim`: what a report says, in a form that measurements can bear out or not.

Every part of a claim is about one number a seed, its statistic; the interval of its mean over the
seeds, held against a margin, gives the verdict.  Fields of the design that a part does not name are
averaged over.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal, get_args

from fashion_hpo.design.checks import (
    check_choice,
    check_count,
    check_flag,
    check_mapping,
    is_number,
    make_plain,
)
from fashion_hpo.design.config import EPOCH_METRICS
from fashion_hpo.design.measures import CLAIMABLE
from fashion_hpo.design.reports import CLAIMS

Level = bool | int | float | str
Direction = Literal["lower", "higher", "same"]
Contrast = tuple[str, Level, Level]
"""A field, the level to compare with, and the level that the claim is about."""
Design = Mapping[str, tuple[Level, ...]]

ID = re.compile(r"[\w.-]+", re.ASCII)  # it is part of a tag's name
KINDS = ("contrast", "interaction", "best", "figure", "influence")


@dataclass(frozen=True)
class Part:
    """One statistic and what is claimed of it; exactly one of the five kinds is given.

    contrast: `measure` at the second level less that at the first.
    interaction: what the first contrast comes to at the second level of the other, less what it
        comes to at the first.
    best: `measure` at these levels less that of the best other cell of the same fields.
    figure: `measure` itself, claimed to be beyond this number, or beyond the number of "epochs".
    influence: the field's share of the variance of `measure` over a full factorial (its main
        effect) less the largest other field's.

    It holds if the statistic is lower, or higher, by more than `margin`; or, if the two sides are
    claimed to be the same, if it differs from 0 by less.
    """

    measure: str = ""
    direction: Direction | None = None
    _: KW_ONLY
    margin: float = 0.0
    contrast: Contrast | None = None
    interaction: tuple[Contrast, Contrast] | None = None
    best: Mapping[str, Level] | None = None
    figure: float | Literal["epochs"] | None = None
    influence: str | None = None
    at: Mapping[str, Level] = field(default_factory=dict)  # levels of other fields to look at
    untuned: bool = False  # at the base's own nuisance values, not at each level's best
    epoch: int | None = None  # where on the curve, if not at its end
    relative: bool = False  # a contrast as a share of its first side, and the margin as well

    def __post_init__(self) -> None:
        make_plain(self)

    @property
    def kind(self) -> str:
        """Which of the five kinds it is."""
        return next(name for name in KINDS if getattr(self, name) is not None)


@dataclass(frozen=True, kw_only=True)
class Claim(Part):
    """A claim of one part, or of several `parts`, all of which must hold.

    A report's claim has its text and the report's own figure from `design.reports`, by its id.  One
    that cannot be put to the test says why in `untestable`.
    """

    id: str
    text: str = ""
    reported: str = ""
    parts: Sequence[Part] = ()
    untestable: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        known = CLAIMS.get(self.id)
        if known is not None:
            object.__setattr__(self, "text", self.text or known.text)
            object.__setattr__(self, "reported", self.reported or known.figure)

    @property
    def all_parts(self) -> Sequence[Part]:
        """What must hold; nothing if it is untestable."""
        return () if self.untestable else self.parts or (self,)


def check_claims(
    claims: Sequence[object], scientific: Design, epochs: int, *, untuned: bool = False
) -> None:
    """Raise ValueError, naming claim and field, for a claim that the design cannot answer.

    `epochs` are the most that a budget trains; `untuned` says whether the base's own nuisance
    values are among the points.
    """
    for claim in claims:
        if not isinstance(claim, Claim):
            raise ValueError(f"claims has {claim!r}; allowed is a Claim.")
        where = f"claim {claim.id}"
        _check_claim(where, claim)
        for number, part in enumerate(claim.all_parts, 1):
            named = f"{where}, part {number}" if claim.parts else where
            _check_part(named, part, scientific, epochs)
            if part.untuned and not untuned:
                raise ValueError(
                    f"{named}: untuned is True, and the base's own nuisance values are no point of "
                    "the study; set nuisance_base."
                )
    ids = [claim.id for claim in claims if isinstance(claim, Claim)]
    if twice := [name for name in ids if ids.count(name) > 1]:
        raise ValueError(f"claims has {twice[0]!r} twice; give each claim an id of its own.")


def _check_claim(where: str, claim: Claim) -> None:
    for name in ("id", "text", "reported", "untestable"):
        value = getattr(claim, name)
        if not isinstance(value, str):
            raise ValueError(f"{where}: {name} is {value!r}; allowed is a text.")
    if not ID.fullmatch(claim.id):
        raise ValueError(
            f"{where}: id is {claim.id!r}; allowed are letters, digits, '.', '_' and '-'."
        )
    if not claim.text:
        raise ValueError(
            f"{where}: text is ''; say what is claimed (only claims of the reports, R0.a to R4.c, "
            "have a text already)."
        )
    parts = claim.parts
    if not isinstance(parts, tuple | list) or any(type(part) is not Part for part in parts):
        raise ValueError(f"{where}: parts is {parts!r}; allowed is a list of Parts.")
    own = [name for name in ("measure", *KINDS) if getattr(claim, name)]
    if claim.untestable:
        own += ["parts"] if parts else []
    if own and (parts or claim.untestable):
        other = "untestable" if claim.untestable else "parts"
        raise ValueError(f"{where}: {own[0]} and {other} are both given; leave one out.")


def _check_part(where: str, part: Part, scientific: Design, epochs: int) -> None:
    check_choice(f"{where}: measure", part.measure, CLAIMABLE)
    check_choice(f"{where}: direction", part.direction, get_args(Direction))
    for name in ("relative", "untuned"):
        check_flag(f"{where}: {name}", getattr(part, name))
    _check_margin(where, part)
    given = [name for name in KINDS if getattr(part, name) is not None]
    if len(given) != 1:
        raise ValueError(
            f"{where} has {' and '.join(given) or 'no kind'}; give one of {', '.join(KINDS)}."
        )
    _check_kind(where, part, scientific)
    _check_levels(where, "at", part.at, scientific)
    for name in sorted(set(part.at) & set(_compared(part))):
        raise ValueError(f"{where}: at has {name!r}, which {part.kind} compares; leave it out.")
    if part.relative and part.kind != "contrast":
        raise ValueError(f"{where}: relative is True with {part.kind}; it goes with contrast only.")
    if part.epoch is not None:
        _check_epoch(where, part, epochs)


def _check_margin(where: str, part: Part) -> None:
    if not is_number(part.margin) or part.margin < 0:
        raise ValueError(f"{where}: margin is {part.margin!r}; allowed is 0 or more.")
    if part.direction == "same" and part.margin == 0:
        raise ValueError(f"{where}: margin is 0, and no two means are the same; allow some more.")


def _check_kind(where: str, part: Part, scientific: Design) -> None:
    directions: tuple[str, ...] = get_args(Direction)
    if part.kind == "contrast":
        _check_contrast(where, part.contrast, scientific)
    elif part.kind == "interaction":
        _check_interaction(where, part.interaction, scientific)
    elif part.kind == "best":
        _check_levels(where, "best", part.best, scientific)
        if not part.best:
            raise ValueError(f"{where}: best is {{}}; name at least one field and its level.")
        directions = ("lower", "higher")
    elif part.kind == "influence":
        _check_influence(where, part, scientific)
        directions = ("higher",)
    elif part.figure != "epochs" and not is_number(part.figure):
        raise ValueError(f"{where}: figure is {part.figure!r}; allowed is a number or 'epochs'.")
    check_choice(f"{where}: direction of {part.kind}", part.direction, directions)


def _check_contrast(where: str, contrast: object, scientific: Design) -> None:
    if not isinstance(contrast, tuple | list) or len(contrast) != 3 or contrast[1] == contrast[2]:
        raise ValueError(
            f"{where}: contrast is {contrast!r}; allowed is a field and two levels of it."
        )
    name, *compared = contrast
    check_choice(f"{where}: contrast", name, scientific)
    for level in compared:
        check_choice(f"{where}: level of {name}", level, scientific[name])


def _check_interaction(where: str, interaction: object, scientific: Design) -> None:
    if not isinstance(interaction, tuple | list) or len(interaction) != 2:
        raise ValueError(f"{where}: interaction is {interaction!r}; allowed are two contrasts.")
    for contrast in interaction:
        _check_contrast(where, contrast, scientific)
    if interaction[0][0] == interaction[1][0]:
        raise ValueError(
            f"{where}: interaction has {interaction[0][0]!r} twice; contrast two fields."
        )


def _check_influence(where: str, part: Part, scientific: Design) -> None:
    several = [name for name, values in scientific.items() if len(values) > 1]
    check_choice(f"{where}: influence", part.influence, several)
    if len(several) < 2:
        raise ValueError(
            f"{where}: influence is {part.influence!r}, and no other field varies; add one."
        )
    if part.at:
        raise ValueError(f"{where}: at is {part.at!r}; influence is over the whole design.")


def _check_levels(where: str, role: str, chosen: object, scientific: Design) -> None:
    check_mapping(f"{where}: {role}", chosen)
    assert isinstance(chosen, Mapping)
    for name, level in chosen.items():
        check_choice(f"{where}: {role}", name, scientific)
        check_choice(f"{where}: level of {name}", level, scientific[name])


def _check_epoch(where: str, part: Part, epochs: int) -> None:
    check_count(f"{where}: epoch", part.epoch)
    check_choice(f"{where}: measure at an epoch", part.measure, EPOCH_METRICS)
    if part.epoch is not None and part.epoch > epochs:
        raise ValueError(f"{where}: epoch is {part.epoch}; the study trains {epochs} at most.")


def _compared(part: Part) -> list[str]:
    """The fields whose levels it holds against each other."""
    if part.contrast is not None:
        return [part.contrast[0]]
    if part.interaction is not None:
        return [contrast[0] for contrast in part.interaction]
    return list(part.best or ())
