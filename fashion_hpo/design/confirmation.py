"""The confirmation of a search: the trainings after the sampler's last trial.

The best score of a search is biased upwards, because it is the maximum of many.  So the finalists
are trained again from scratch on fresh seeds, and some pruned points are trained to completion, all
in a ledger that no sampler sees.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

SUFFIX = "/confirmation"  # follows the name of the search's ledger
Values = Mapping[str, Any]  # of the searched fields

SEARCHED_SEED = 0  # the seed index of all trials of a search; fresh seeds follow


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """The points of a search that its confirmation trains again, best first."""

    of: str  # the name of the search's ledger
    uid: str  # the id of the search's ledger, under which checkpoints of pruned points are kept
    finalists: tuple[Values, ...]
    audited: tuple[Values, ...] = ()  # pruned points that are trained to completion

    @property
    def name(self) -> str:
        """The name of the confirmation's ledger."""
        return f"{self.of}{SUFFIX}"

    def points(self, seeds: int) -> Iterator[tuple[int, Values]]:
        """Seed index and values of each point: seed by seed, then the audited points."""
        for seed_index in range(SEARCHED_SEED + 1, SEARCHED_SEED + 1 + seeds):
            for values in self.finalists:
                yield seed_index, values
        for values in self.audited:
            yield SEARCHED_SEED, values

    def extent(self) -> dict[str, list[dict[str, Any]]]:
        """The part that grows when the search is extended: points are added, never removed."""
        return {"finalists": [*map(dict, self.finalists)], "audited": [*map(dict, self.audited)]}

    def grown(self, kept: Mapping[str, Any]) -> "Confirmation":
        """The confirmation with the points of its ledger first, then its new points."""
        return replace(
            self,
            finalists=_union(kept["finalists"], self.finalists),
            audited=_union(kept["audited"], self.audited),
        )


def _union(first: list[Values], second: tuple[Values, ...]) -> tuple[Values, ...]:
    added = [dict(values) for values in second if dict(values) not in first]
    return (*first, *added)
