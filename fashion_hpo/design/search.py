"""`Search`: who proposes a search's points, who ends them early, and what is done with the best."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution

from fashion_hpo.design.checks import (
    check_choice,
    check_count,
    check_flag,
    check_mapping,
    make_plain,
    plain,
)
from fashion_hpo.design.constraints import check_constraints
from fashion_hpo.design.objectives import VALUE, check_objectives
from fashion_hpo.design.warm_start import check_source

Sampler = Literal["tpe", "gp", "quasi_random", "random"]
Pruner = Literal["none", "hyperband", "successive_halving", "median", "one_epoch"]
STARTUP_TRIALS = 10  # that a sampler must have finished before it uses results; until then it draws


@dataclass(frozen=True, kw_only=True)
class Search:
    """A sampler proposes the points, a pruner ends the hopeless ones early."""

    space: Mapping[str, BaseDistribution]
    trials: int
    sampler: Sampler = "tpe"
    pruner: Pruner = "hyperband"
    finalists: int = 3  # trained again, from scratch, once the sampler has had its trials; 0: none
    fresh_seeds: int = 3  # for each of them
    resume_pruned: int = 0  # the best pruned trials, which go on to their end, never pruned again
    audit: int = 0  # pruned trials that are then trained to their end, to judge the pruner
    objectives: tuple[str, ...] = (VALUE,)  # of several, the first says which trial is best
    constraints: Mapping[str, float] = field(default_factory=dict)  # the most its best may have
    defaults: bool = False  # whether the base config's own values are the first point
    warm_start: str = ""  # an earlier search, "name" or "name:budget", whose best come next
    warm_points: int = 5  # at most so many of them
    plateau: int = 0  # complete trials without a better one, after which it stops; 0: never

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "space", plain_ranges(self.space))

    @property
    def is_drawn(self) -> bool:
        """Whether all points are drawn beforehand, whatever the first ones come to."""
        return self.sampler in ("quasi_random", "random")


def plain_ranges(ranges: Mapping[str, BaseDistribution]) -> Mapping[str, BaseDistribution]:
    """The same with Python's own numbers for numpy's choices, which no ledger can keep."""
    if not isinstance(ranges, Mapping):
        return ranges  # which is refused when the study is checked
    return {
        name: CategoricalDistribution(plain(distribution.choices))
        if isinstance(distribution, CategoricalDistribution)
        else distribution
        for name, distribution in ranges.items()
    }


def check_search(search: Search) -> None:
    """Raise ValueError, naming the field and what is allowed, for one that cannot be run."""
    check_mapping("search.space", search.space)
    for name in ("trials", "fresh_seeds", "warm_points"):
        check_count(f"search.{name}", getattr(search, name))
    for name in ("finalists", "resume_pruned", "audit", "plateau"):
        check_count(f"search.{name}", getattr(search, name), least=0)
    check_flag("search.defaults", search.defaults)
    check_choice("search.sampler", search.sampler, get_args(Sampler))
    check_choice("search.pruner", search.pruner, get_args(Pruner))
    check_source(search.warm_start)
    check_objectives(search.objectives)
    check_constraints(search.constraints)
    if len(search.objectives) > 1 and search.pruner != "none":
        raise ValueError(
            f"search.pruner is {search.pruner!r}, and there are several objectives; "
            'pruners compare one, so set it to "none".'
        )
    _check_resumed(search)


def _check_resumed(search: Search) -> None:
    if search.pruner == "one_epoch" and not search.resume_pruned:
        raise ValueError(
            "search.pruner is 'one_epoch', which ends every trial, and search.resume_pruned is 0; "
            "set that to how many trials are to be brought to their end, at least 1."
        )
    if search.pruner == "none" and search.resume_pruned:
        raise ValueError(
            f"search.resume_pruned is {search.resume_pruned}, and search.pruner is 'none', which "
            "ends no trial; set a pruner, or leave resume_pruned at 0."
        )
