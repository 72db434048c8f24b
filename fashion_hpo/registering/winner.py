"""Choose a ledger's winning config by its mean over seeds, and the trial to register.

The highest single value is partly luck.  So configs are compared by their means, and the registered
model is that of the winner's median trial.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType

from fashion_hpo.design.config import SEEDED
from fashion_hpo.stores.ledger import Attempt, Entry, Result
from fashion_hpo.stores.model_files import hashes_in
from fashion_hpo.stores.ranking import ranked


@dataclass(frozen=True)
class Winner:
    """The winning config's complete trials, one per seed, ascending by value.

    `median` is the lower median.  `chosen` is the trial whose model is registered: the median, or,
    if its model was not kept, the trial with a model whose value is nearest; the median too if all
    models were removed since.  `configs` is the
    number of compared configs, without those with fewer seeds.
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
        """The mean value over the seeds."""
        return sum(self.values) / len(self.trials)

    @property
    def standing(self) -> str:
        """Which trial is registered, in words."""
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

    Returns None if no entry is ranked; raises ValueError if the winner never had a model.
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
    """The ranked trials of each compared config: the configs with the most seeds."""
    compared = sorted(ranked(entries, constraints), key=lambda entry: entry.attempt.number)
    groups = list(_by_config(compared).values())
    most = max(map(len, groups), default=0)
    return [list(group.values()) for group in groups if len(group) == most]


def mean_of(trials: Sequence[Entry]) -> float:
    """The mean value, rounded once and so independent of the order; the report uses it too."""
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
    """The config without its seed and fold, as a key."""
    shared = {name: v for name, v in attempt.config.identity().items() if name not in SEEDED}
    return json.dumps(shared, sort_keys=True)


def _by_config(entries: Sequence[Entry]) -> Mapping[str, Mapping[int, Entry]]:
    """Trials by config and seed, the first if a sampler proposed a point twice."""
    groups: dict[str, dict[int, Entry]] = {}
    for entry in entries:
        group = groups.setdefault(without_seed(entry.attempt), {})
        group.setdefault(entry.attempt.config.seed, entry)
    return groups


def _nearest_kept(trials: Sequence[Entry], median: Entry) -> Entry:
    with_model = [entry for entry in trials if hashes_in(result_of(entry).files)]
    if not with_model and any(entry.given_up for entry in trials):
        return median
    if not with_model:
        name = median.attempt.config.architecture
        raise ValueError(
            f"the winner, {name} (trial {median.attempt.number}), keeps no model; register a study "
            "that a network wins."
        )
    return min(with_model, key=lambda entry: (entry is not median, _distance(entry, median)))


def _distance(entry: Entry, median: Entry) -> float:
    return abs(value_of(entry) - value_of(median))
