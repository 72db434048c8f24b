"""`Claim`: what a report says, in a form that measurements can bear out or not.

Every part of a claim is about one number a seed, its statistic; the interval of its mean over the
seeds, held against a margin, gives the verdict.  Fields of the design that a part does not name are
averaged over.  What a part compares is its kind: see `claim_kinds`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from fashion_hpo.design.checks import check_choice, check_count, check_flag, is_number
from fashion_hpo.design.claim_kinds.kind import (
    KINDS,
    Design,
    Direction,
    Level,
    Part,
    check_levels,
)
from fashion_hpo.design.config import EPOCH_METRICS
from fashion_hpo.design.measures import CLAIMABLE
from fashion_hpo.design.reports import reports

ID = re.compile(r"[\w.-]+", re.ASCII)  # it is part of a tag's name


@dataclass(frozen=True)
class Regime:
    """Where a report's claim may be asked: its reference level `at` reaches this validation
    accuracy (the report's figure less three points) after at least so many optimizer steps."""

    at: Mapping[str, Level]
    reaches: float
    steps: int


@dataclass(frozen=True, init=False)
class Claim(Part):
    """A claim of one part, or of several `parts`, all of which must hold.

    A report's claim has its text and the report's own figure from `studies/_reports.py`, by its id.
    A claim that cannot be put to the test says why in `untestable`.  Outside its `regime` there is
    no verdict.  A claim of `small_scale` is about the quick budget alone, and only such a claim has
    a verdict under it.
    """

    id: str
    text: str
    reported: str
    parts: Sequence[Part]
    untestable: str
    regime: Regime | None
    small_scale: bool

    def __init__(
        self,
        *,
        id: str,
        text: str = "",
        reported: str = "",
        parts: Sequence[Part] = (),
        untestable: str = "",
        regime: Regime | None = None,
        small_scale: bool = False,
        **part: Any,
    ) -> None:
        super().__init__(**part)
        known = reports().claims.get(id)
        if known is not None:
            text, reported = text or known.text, reported or known.figure
        self._set(id=id, text=text, reported=reported, parts=parts)
        self._set(untestable=untestable, regime=regime, small_scale=small_scale)

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
        _check_regime(where, claim.regime, scientific)
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
    check_flag(f"{where}: small_scale", claim.small_scale)
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
    given = ["measure"] if claim.measure else []
    given += [*claim.claimed, *(["parts"] if parts and claim.untestable else [])]
    if given and (parts or claim.untestable):
        other = "untestable" if claim.untestable else "parts"
        raise ValueError(f"{where}: {given[0]} and {other} are both given; leave one out.")


def _check_regime(where: str, regime: object, scientific: Design) -> None:
    if regime is None:
        return
    if not isinstance(regime, Regime):
        raise ValueError(f"{where}: regime is {regime!r}; allowed is a Regime.")
    check_levels(where, "regime.at", regime.at, scientific)
    if not is_number(regime.reaches) or not 0 <= regime.reaches <= 1:
        raise ValueError(f"{where}: regime.reaches is {regime.reaches!r}; allowed is 0 to 1.")
    check_count(f"{where}: regime.steps", regime.steps, least=0)


def _check_part(where: str, part: Part, scientific: Design, epochs: int) -> None:
    check_choice(f"{where}: measure", part.measure, CLAIMABLE)
    check_choice(f"{where}: direction", part.direction, get_args(Direction))
    for name in ("relative", "untuned"):
        check_flag(f"{where}: {name}", getattr(part, name))
    _check_margin(where, part)
    if len(part.claimed) != 1:
        raise ValueError(
            f"{where} has {' and '.join(part.claimed) or 'no kind'}; give one of "
            f"{', '.join(KINDS)}."
        )
    _check_kind(where, part, scientific)
    if part.epoch is not None:
        _check_epoch(where, part, epochs)


def _check_margin(where: str, part: Part) -> None:
    if not is_number(part.margin) or part.margin < 0:
        raise ValueError(f"{where}: margin is {part.margin!r}; allowed is 0 or more.")
    if part.direction == "same" and part.margin == 0:
        raise ValueError(f"{where}: margin is 0, and no two means are the same; allow some more.")


def _check_kind(where: str, part: Part, scientific: Design) -> None:
    (keyword,), kind = part.claimed, part.kind
    kind.check(where, part, scientific)
    check_choice(f"{where}: direction of {keyword}", part.direction, kind.directions)
    check_levels(where, "at", part.at, scientific)
    for name in sorted(set(part.at) & set(kind.compared)):
        raise ValueError(f"{where}: at has {name!r}, which {keyword} compares; leave it out.")
    if part.relative and not kind.may_be_relative:
        allowed = ", ".join(name for name, other in KINDS.items() if other.may_be_relative)
        raise ValueError(f"{where}: relative is True with {keyword}; it goes with {allowed} only.")


def _check_epoch(where: str, part: Part, epochs: int) -> None:
    check_count(f"{where}: epoch", part.epoch)
    check_choice(f"{where}: measure at an epoch", part.measure, EPOCH_METRICS)
    if part.epoch is not None and part.epoch > epochs:
        raise ValueError(f"{where}: epoch is {part.epoch}; the study trains {epochs} at most.")
