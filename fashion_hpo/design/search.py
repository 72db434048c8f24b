"""`Search`: the sampler, the pruner, and the treatment of the best trials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from optuna.distributions import BaseDistribution, CategoricalDistribution

from fashion_hpo.design.checks import (
    check_choice,
    check_count,
    check_flag,
    check_mapping,
    make_plain,
    plain,
)
from fashion_hpo.design.conditions import check_conditions, plain_conditions
from fashion_hpo.design.constraints import check_constraints
from fashion_hpo.design.objectives import VALUE, check_objectives
from fashion_hpo.design.warm_start import check_source

Sampler = Literal["tpe", "gp", "quasi_random", "random"]
Pruner = Literal["none", "hyperband", "successive_halving", "median", "one_epoch"]
STARTUP_TRIALS = 10  # finished trials before a sampler uses results; until then it draws at random


@dataclass(frozen=True, kw_only=True)
class Search:
    """A sampler proposes the points, a pruner ends unpromising trials early."""

    space: Mapping[str, BaseDistribution]
    trials: int
    sampler: Sampler = "tpe"
    startup_trials: int | None = None  # random ones before tpe and gp use results; None: 10
    pruner: Pruner = "hyperband"
    finalists: int = 3  # best configs, trained again from scratch after the search; 0: none
    fresh_seeds: int = 3  # per finalist
    resume_pruned: int = 0  # best pruned trials, trained to completion and not pruned again
    audit: int = 0  # pruned trials, trained to completion after the search, to judge the pruner
    objectives: tuple[str, ...] = (VALUE,)  # the first decides which trial is best
    constraints: Mapping[str, float] = field(default_factory=dict)  # upper bounds on the best trial
    defaults: bool = False  # whether the base config's values are the first point
    warm_start: str = ""  # an earlier search, "name" or "name:budget", whose best points come next
    warm_points: int = 5  # at most so many points of the warm start
    when: Mapping[str, Any] = field(default_factory=dict)  # conditional fields: `design.conditions`
    plateau: int = 0  # stop after so many complete trials without a better one; 0: never

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "space", plain_ranges(self.space))
        object.__setattr__(self, "when", plain_conditions(self.when))

    @property
    def startup(self) -> int:
        """How many trials must have ended before a sampler that learns uses results."""
        return STARTUP_TRIALS if self.startup_trials is None else self.startup_trials

    @property
    def is_drawn(self) -> bool:
        """Whether all points are drawn beforehand, independent of results."""
        return self.sampler in ("quasi_random", "random")


def plain_ranges(ranges: Mapping[str, BaseDistribution]) -> Mapping[str, BaseDistribution]:
    """The ranges with choices as Python's numbers: a ledger cannot store numpy's."""
    if not isinstance(ranges, Mapping):
        return ranges  # refused when the study is checked
    return {
        name: CategoricalDistribution(plain(distribution.choices))
        if isinstance(distribution, CategoricalDistribution)
        else distribution
        for name, distribution in ranges.items()
    }


def check_search(search: Search) -> None:
    """Raise ValueError, naming the field and what is allowed, for an invalid search."""
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
    check_conditions(search.when, search.space, search.sampler)
    if len(search.objectives) > 1 and search.pruner != "none":
        raise ValueError(
            f"search.pruner is {search.pruner!r}, but the search has several objectives, and "
            'pruners compare one; set search.pruner to "none".'
        )
    check_startup("search", search.startup_trials, search.trials)
    _check_resumed(search)


def check_startup(where: str, startup_trials: int | None, trials: int) -> None:
    """Raise ValueError if a sampler would use no result; `where` names what has these numbers."""
    if startup_trials is None:
        return
    check_count(f"{where}.startup_trials", startup_trials)
    if startup_trials >= trials:
        raise ValueError(
            f"{where} has startup_trials {startup_trials} and trials {trials}, so that all trials "
            "would be random; set startup_trials below trials."
        )


def _check_resumed(search: Search) -> None:
    if search.pruner == "one_epoch" and not search.resume_pruned:
        raise ValueError(
            "search.pruner is 'one_epoch', which prunes every trial, but search.resume_pruned is "
            "0; set it to the number of trials to train to completion, at least 1."
        )
    if search.pruner == "none" and search.resume_pruned:
        raise ValueError(
            f"search.resume_pruned is {search.resume_pruned}, but search.pruner is 'none'; set a "
            "pruner, or leave resume_pruned at 0."
        )
