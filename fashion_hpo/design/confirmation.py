"""The confirmation of a search: what is trained after its sampler has had its trials.

A search's score is the best of many, and therefore too good.  Its finalists are trained again from
scratch on seeds that the search never used, and some of the points that its pruner ended are
trained to their end, all in a ledger that no sampler sees.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

SUFFIX = "/confirmation"  # of the search's ledger's name
Values = Mapping[str, Any]  # of the searched fields

SEARCHED_SEED = 0  # the seed index of every trial of a search; fresh ones come after it


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What a confirmation's ledger repeats of a search's ledger, best first."""

    of: str  # the name of the search's ledger
    uid: str  # and its id, under which the checkpoints of pruned points are kept
    finalists: tuple[Values, ...]
    audited: tuple[Values, ...] = ()  # pruned points that are trained to their end

    @property
    def name(self) -> str:
        """The name of the confirmation's own ledger."""
        return f"{self.of}{SUFFIX}"

    def points(self, seeds: int) -> Iterator[tuple[int, Values]]:
        """Seed index and values of each point: seed by seed, the audited ones last."""
        for seed_index in range(SEARCHED_SEED + 1, SEARCHED_SEED + 1 + seeds):
            for values in self.finalists:
                yield seed_index, values
        for values in self.audited:
            yield SEARCHED_SEED, values

    def extent(self) -> dict[str, list[dict[str, Any]]]:
        """What grows where the search is extended: points are added, and none is taken back."""
        return {"finalists": [*map(dict, self.finalists)], "audited": [*map(dict, self.audited)]}

    def grown(self, kept: Mapping[str, Any]) -> "Confirmation":
        """With all that its ledger has already, which comes first."""
        return replace(
            self,
            finalists=_union(kept["finalists"], self.finalists),
            audited=_union(kept["audited"], self.audited),
        )


def _union(first: list[Values], second: tuple[Values, ...]) -> tuple[Values, ...]:
    added = [dict(values) for values in second if dict(values) not in first]
    return (*first, *added)
