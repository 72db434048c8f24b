"""The config that won a ledger, by its mean over seeds, and the trial that stands for it.

One trial is luck: the highest of many values is high by chance as well.  So configs are compared
by their means, and the model that is registered is the winner's median one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

from fashion_hpo.stores.ledger import Attempt, Entry, Result
from fashion_hpo.stores.models import hashes_in
from fashion_hpo.stores.ranking import ranked


@dataclass(frozen=True)
class Winner:
    """The winning config's complete trials, by value, one a seed.

    `median` is the lower median, and `chosen` the trial whose model is registered: the median, or
    where its model was not kept, the trial of the nearest value that has one.  `configs` counts
    all that were compared, those with fewer seeds left out.
    """

    trials: tuple[Entry, ...]
    median: Entry
    chosen: Entry
    configs: int

    @property
    def values(self) -> list[float]:
        """Each seed's value, ascending."""
        return [value_of(entry) for entry in self.trials]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return sum(self.values) / len(self.trials)

    @property
    def standing(self) -> str:
        """Which of the seeds is registered, in words."""
        number, seed = self.chosen.attempt.number, self.chosen.attempt.config.seed
        if len(self.trials) == 1:
            return f"trial {number}, seed {seed}, the only one"
        if self.chosen is self.median:
            return f"trial {number}, seed {seed}, the median of {len(self.trials)}"
        return (
            f"trial {number}, seed {seed}, the nearest to the median of {len(self.trials)} whose "
            f"model was kept (the median, trial {self.median.attempt.number}, keeps none)"
        )


def winner(
    entries: Iterable[Entry], constraints: Mapping[str, float] = MappingProxyType({})
) -> Winner | None:
    """The config of the best mean value among those with the most seeds; the first of equals.

    Works for any ledger's entries.  Returns None if none of them is ranked; raises ValueError if
    the winner kept no model.
    """
    compared = rivals(entries, constraints)
    if not compared:
        return None
    best = max(compared, key=mean_of)  # the first of equals
    trials = sorted(best, key=lambda entry: (value_of(entry), entry.attempt.number))
    median = trials[(len(trials) - 1) // 2]
    return Winner(tuple(trials), median, _nearest_kept(trials, median), len(compared))


def rivals(
    entries: Iterable[Entry], constraints: Mapping[str, float] = MappingProxyType({})
) -> list[list[Entry]]:
    """The ranked trials of each config that has the most seeds: those that are compared."""
    compared = sorted(ranked(entries, constraints), key=lambda entry: entry.attempt.number)
    groups = list(_by_config(compared).values())
    most = max(map(len, groups), default=0)
    return [list(group.values()) for group in groups if len(group) == most]


def mean_of(trials: Sequence[Entry]) -> float:
    """Rounded once, so that it does not depend on the order: the report ranks by it as well."""
    return fmean(map(value_of, trials))


def value_of(entry: Entry) -> float:
    """A complete trial's value."""
    value = result_of(entry).value
    assert value is not None
    return value


def result_of(entry: Entry) -> Result:
    """A complete trial's result."""
    assert entry.result is not None
    return entry.result


def without_seed(attempt: Attempt) -> str:
    """What the seeds of one config share, as a key."""
    shared = {name: v for name, v in attempt.config.identity().items() if name != "seed"}
    return json.dumps(shared, sort_keys=True)


def _by_config(entries: Sequence[Entry]) -> Mapping[str, Mapping[int, Entry]]:
    """Config to seed to trial; a sampler may have proposed a point twice."""
    groups: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        group = groups.setdefault(without_seed(entry.attempt), {})
        group.setdefault(entry.attempt.config.seed, entry)
    return groups


def _nearest_kept(trials: Sequence[Entry], median: Entry) -> Entry:
    kept = [entry for entry in trials if hashes_in(result_of(entry).files)]
    if not kept:
        name = median.attempt.config.architecture
        raise ValueError(
            f"the winner, {name} (trial {median.attempt.number}), keeps no model; register a study "
            "that a network wins."
        )
    return min(kept, key=lambda entry: (entry is not median, _distance(entry, median)))


def _distance(entry: Entry, median: Entry) -> float:
    return abs(value_of(entry) - value_of(median))
