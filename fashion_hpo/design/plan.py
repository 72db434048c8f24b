"""The plan of a study under a budget: its ordered points, their ids and the plan's identity.

Pure functions of values.  Plans with the same identity share a ledger; one plan may have more
points than the other.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json

from fashion_hpo.design.budgets import BUDGETS, QUICK, BudgetName
from fashion_hpo.design.conditions import searched
from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.confirmation import Confirmation
from fashion_hpo.design.coupling import Coupled, brought, coupled_fields, to_extent
from fashion_hpo.design.looks import looks
from fashion_hpo.design.narrowing import narrowed
from fashion_hpo.design.objectives import VALUE
from fashion_hpo.design.search import STARTUP_TRIALS, Search, check_search
from fashion_hpo.design.sequences import random_values, sobol_values
from fashion_hpo.design.spec import Budget, Level, StudySpec
from fashion_hpo.design.warm_start import WarmStart

OBJECTIVE = VALUE
SEARCH_SIZES = ("trials", "startup_trials", "finalists", "fresh_seeds", "resume_pruned")
"""The fields of a search that budgets may set."""
REDRAWN = 4  # times the wanted number of points is drawn, as some may be equal or invalid
MOST_REDRAWN = 64  # if that gives too few points
TRIED = 256  # draws before a search starts; at least one must make a valid config


@dataclass(frozen=True)
class Point:
    """One full set of values that a study tries."""

    id: str
    config: TrainConfig
    params: Mapping[str, Any]  # the nuisance or searched values, by field
    seed_index: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that one budget of a study runs."""

    name: str
    question: str
    budget: str
    spec: StudySpec
    base: TrainConfig
    scientific: Mapping[str, tuple[Level, ...]]
    seeds: int
    nuisance_points: int
    search: Search | None
    confirmation: Confirmation | None = None  # if this plan confirms a search; `search` is None
    warm_start: WarmStart | None = None  # the earlier search whose best points are tried first
    coupled: Coupled = field(default_factory=dict)

    @property
    def trials(self) -> int:
        """The number of points."""
        if self.search:
            return self.search.trials
        if self.confirmation:
            return len(list(self.confirmation.points(self.seeds)))
        return math.prod(map(len, self.scientific.values())) * self.nuisance_points * self.seeds

    @property
    def looks(self) -> tuple[int, ...]:
        """The numbers of seeds at which claims have a verdict."""
        limits = self.spec.budgets[self.budget]
        first = limits.seeds or self.spec.seeds
        return looks(first, limits.max_seeds or self.spec.max_seeds or first)

    @property
    def beyond_quick(self) -> BudgetName | None:
        """Of a plan under the quick budget, the study's next larger budget, if any."""
        larger = (budget for budget in BUDGETS if budget in self.spec.budgets and budget != QUICK)
        return next(larger, None) if self.budget == QUICK else None

    @property
    def changed(self) -> list[str]:
        """The base config's fields that differ from the study's own under this budget."""
        before = _base(self.spec, self.spec.budgets[self.budget]).to_dict()
        return [name for name, value in self.base.to_dict().items() if before.get(name) != value]

    @property
    def endings(self) -> int:
        """How often a trial ends: pruned trials that are trained to completion end twice."""
        return self.trials + (self.search.resume_pruned if self.search else 0)

    @property
    def epochs(self) -> int:
        """An upper bound on the epochs of all trials together."""
        epochs = self.base.epochs
        if self.spec.equal_steps:
            return sum(point.config.epochs for point in points(self))
        if self.search is None or self.search.pruner != "one_epoch":
            return self.trials * epochs
        return self.trials + min(self.search.resume_pruned, self.trials) * (epochs - 1)

    @property
    def ranges(self) -> Mapping[str, BaseDistribution]:
        """The distributions of the sampled fields."""
        return self.searched.space if self.searched else self.spec.nuisance

    @property
    def searched(self) -> Search | None:
        """The search that the plan is, or that it confirms."""
        return self.search or self.spec.search

    @property
    def objectives(self) -> tuple[str, ...]:
        """The objectives; the first decides which trial is best."""
        return tuple(self.search.objectives) if self.search else (OBJECTIVE,)

    @property
    def constraints(self) -> dict[str, float]:
        """The upper bounds on the best trial of a search and of its confirmation."""
        bounds = self.searched.constraints if self.searched else {}
        return {name: float(bounds[name]) for name in sorted(bounds)}

    @property
    def measured(self) -> set[str]:
        """Objectives and constraints other than the trial's value."""
        return {*self.objectives[1:], *self.constraints}

    @property
    def length(self) -> str:
        """How long a trial trains, in words: "1 epoch", "20 epochs" or "4,692 optimizer steps"."""
        if self.spec.equal_steps:
            return f"{self.base.steps:,} optimizer steps"
        return "1 epoch" if self.base.epochs == 1 else f"{self.base.epochs} epochs"

    @property
    def image_passes(self) -> int:
        """Training images in all epochs."""
        return self.epochs * self.base.train_images

    def config_at(self, values: Mapping[str, Any]) -> TrainConfig:
        """The base config with these values, and with those that they bring along."""
        coupling = {name: values.get(name, getattr(self.base, name)) for name in self.coupled}
        return self.base.replace(**{**values, **brought(coupling, self.coupled)})

    def identity(self) -> dict[str, Any]:
        """The part of a plan that must not change in a ledger; for the rest see `extent`."""
        later: dict[str, Any] = {}  # without default values, which older ledgers lack
        if len(self.objectives) > 1:
            later["objectives"] = list(self.objectives)
        if self.spec.folds:
            later["folds"] = True
        if self.spec.equal_steps:
            later["equal_steps"] = True
        if self.search and not self.search.is_drawn and self.search.startup != STARTUP_TRIALS:
            later["startup_trials"] = self.search.startup
        if self.constraints:
            later["constraints"] = self.constraints
        if self.searched and self.searched.when:
            later["when"] = {
                name: {other: list(values) for other, values in conditions.items()}
                for name, conditions in self.searched.when.items()
            }
        if self.confirmation is not None:
            later["confirms"] = self.confirmation.uid
        return {
            **later,
            "kind": "confirmation" if self.confirmation else self.spec.kind,
            "base": self.base.identity(),
            "scientific": sorted(self.scientific),
            "ranges": {
                name: json.loads(distribution_to_json(d)) for name, d in self.ranges.items()
            },
            "sampler": self.searched.sampler if self.searched else None,
            "pruner": self.searched.pruner if self.searched else None,
            "objective": OBJECTIVE,
            "study_seed": self.spec.seed,
        }

    def extent(self) -> dict[str, Any]:
        """The part of a plan that may grow: levels, seeds, nuisance points or trials."""
        later: dict[str, Any] = {}  # without default values, which older ledgers lack
        if self.search and self.search.defaults:
            later["defaults"] = 1
        if self.search and self.search.plateau:
            later["plateau"] = self.search.plateau
        if self.search and self.search.resume_pruned:
            later["resume_pruned"] = self.search.resume_pruned
        if self.warm_start:
            later["warm_start"] = self.warm_start.extent()
        if self.spec.nuisance_base:
            later["nuisance_base"] = True
        if self.coupled:
            later["coupled"] = to_extent(self.coupled, self.scientific)
        return {
            **later,
            "scientific": {name: list(values) for name, values in self.scientific.items()},
            "seeds": self.seeds,
            "nuisance_points": self.nuisance_points,
            "trials": self.trials,
            **(self.confirmation.extent() if self.confirmation else {}),
        }


def startup_trials(plan: Plan, trials: int) -> int:
    """How many of a search's first `trials` the sampler draws at random, for lack of results.

    A lower bound, because a trial without a value gives no result.  0 for samplers that do not
    learn, and if the points of a warm start are not yet known.
    """
    search = plan.search
    if search is None or search.is_drawn or (search.warm_start and plan.warm_start is None):
        return 0
    return max(0, min(trials, search.startup) - len(points(plan)))


def make_plan(
    name: str,
    question: str,
    spec: StudySpec,
    budget: str,
    *,
    changes: Mapping[str, Any] | None = None,
    more_seeds: int = 0,
    searching: Mapping[str, Any] | None = None,
) -> Plan:
    """The plan of a study under a budget, with changes to the base config and the search.

    Raises ValueError if the study has no such budget or a value is out of range.
    """
    if budget not in spec.budgets:
        have = ", ".join(spec.budgets) or "none"
        raise ValueError(f"budget is {budget!r}; study {name} has {have}.")
    limits = spec.budgets[budget]
    if more_seeds and spec.search:
        raise ValueError(
            f"--more-seeds is {more_seeds}, but {name} is a search, whose points have one seed "
            "each; leave the option out."
        )
    if searching and spec.search is None:
        option, value = next(iter(searching.items()))
        raise ValueError(
            f"--{option.replace('_', '-')} is {value}, but {name} is a design, which has no "
            "sampler; leave the option out."
        )
    changes = dict(changes or {})
    search = spec.search
    varied = {"seed", *spec.scientific, *spec.nuisance, *(search.space if search else ())}
    varied |= coupled_fields(spec.coupled)
    for changed in changes:
        if changed in varied:
            raise ValueError(f"study {name} varies {changed}; --set cannot set it, leave it out.")
    if search:
        sizes = {name: getattr(limits, name) for name in SEARCH_SIZES}
        given = {name: value for name, value in sizes.items() if value is not None}
        search = dataclasses.replace(search, **{**given, **(searching or {})})
        check_search(search)
    return Plan(
        name=name,
        question=question,
        budget=budget,
        spec=spec,
        base=_base(spec, limits).replace(**changes),
        scientific={**spec.scientific, **(limits.scientific or {})},
        seeds=(limits.seeds or spec.seeds) + more_seeds,
        nuisance_points=(limits.nuisance_points or spec.nuisance_points) if spec.nuisance else 1,
        search=search,
        coupled=spec.coupled,
    )


def _base(spec: StudySpec, limits: Budget) -> TrainConfig:
    """The base config under a budget."""
    size = {"epochs": limits.epochs, "train_images": limits.train_images}
    return spec.base.replace(**{name: value for name, value in size.items() if value is not None})


def points(plan: Plan) -> list[Point]:
    """All points that do not depend on results: all of a design, some of a search.

    A design's points are ordered by seed, so that an interrupted study is balanced.  Every level
    has the same nuisance points and seeds, so that comparisons are paired.
    """
    if plan.confirmation is not None:
        repeated = plan.confirmation.points(plan.seeds)
        return [make_point(plan, values, values, seed_index) for seed_index, values in repeated]
    if plan.search is not None:
        return _searched_points(plan, plan.search)
    names = list(plan.scientific)
    grid = list(product(*plan.scientific.values()))
    nuisance = nuisance_values(plan)
    return [
        make_point(plan, {**dict(zip(names, values, strict=True)), **drawn}, drawn, seed_index)
        for seed_index, drawn, values in product(range(plan.seeds), nuisance, grid)
    ]


def confirmation_plan(search: Plan, confirmation: Confirmation, seeds: int) -> Plan:
    """The plan of a search's confirmation, with `seeds` fresh seeds for each finalist."""
    question = f"Which finalist of {confirmation.of} is best on seeds that it never saw?"
    return dataclasses.replace(
        search,
        question=question,
        search=None,
        seeds=seeds,
        confirmation=confirmation,
        warm_start=None,
    )


def _searched_points(plan: Plan, search: Search) -> list[Point]:
    """The points of a search that no sampler proposes: the base config's values, the best of the
    warm start, and all points of a quasi-random or random search.

    Duplicates and invalid configs are left out.  There may be fewer points than trials, if the
    ranges have few valid values.
    """
    known = []
    if search.defaults:
        known.append({name: getattr(plan.base, name) for name in search.space})
    if plan.warm_start is not None:
        known += [dict(values) for values in plan.warm_start.points]
    if not search.is_drawn:
        return _points_of(plan, known)[: search.trials]
    draw = sobol_values if search.sampler == "quasi_random" else random_values
    seed = sampler_seed(plan.spec.seed, 0, 0)
    for times in (REDRAWN, MOST_REDRAWN):
        drawn = [*known, *draw(search.space, times * search.trials, seed)]
        distinct = _points_of(plan, drawn)
        if len(distinct) >= search.trials:
            break
    return distinct[: search.trials]


def _points_of(plan: Plan, drawn: Sequence[Mapping[str, Any]]) -> list[Point]:
    """The points of these values in order, without duplicates and invalid configs."""
    by_id: dict[str, Point] = {}
    for values in drawn:
        with suppress(ValueError):
            point = make_point(plan, values, values)
            by_id.setdefault(point.id, point)
    return list(by_id.values())


def check_drawable(plan: Plan) -> None:
    """Raise ValueError for a search whose draws make no valid config."""
    search = plan.search
    if search is None:
        return
    space = narrowed(search.space, plan.base)
    if search.is_drawn and points(plan):
        return
    drawn = sobol_values(space, TRIED, sampler_seed(plan.spec.seed, 0, 0))
    if not search.is_drawn and _points_of(plan, drawn):
        return
    try:
        make_point(plan, drawn[0], drawn[0])
        reason = "hardly any values fit together; narrow the ranges."
    except ValueError as error:
        reason = str(error)
    raise ValueError(f"search.space gives no valid config: {reason}")


def make_point(
    plan: Plan, values: Mapping[str, Any], params: Mapping[str, Any], seed_index: int = 0
) -> Point:
    """The point with these values of the varied fields; those that are not searched there have the
    base config's value."""
    if plan.searched is not None and plan.searched.when:
        values, params = (searched(given, plan.searched.when) for given in (values, params))
    seeded = {"seed": training_seed(plan.spec.seed, seed_index)}
    if plan.spec.folds:
        seeded["fold"] = seed_index + 1
    config = plan.config_at({**values, **seeded})
    if plan.spec.equal_steps:
        config = config.replace(epochs=math.ceil(plan.base.steps / config.replace(epochs=1).steps))
    return Point(point_id(config), config, dict(params), seed_index)


def point_id(config: TrainConfig) -> str:
    """The id of a config: 16 hexadecimal digits of its hash."""
    return digest(config.identity())[:16]


def training_seed(study_seed: int, seed_index: int) -> int:
    """The seed of a training; equal for all levels, so that comparisons are paired."""
    return int(digest(["training seed", study_seed, seed_index])[:15], 16)


def sampler_seed(study_seed: int, worker: int | str, proposals: int) -> int:
    """A different seed for each worker and proposal; with equal seeds, proposals repeat."""
    return int(digest(["sampler seed", study_seed, worker, proposals])[:8], 16)


def nuisance_values(plan: Plan) -> list[dict[str, Any]]:
    """Scrambled Sobol points over the nuisance ranges; more points extend the sequence.

    With `nuisance_base`, the first point is the base config's values.
    """
    if not plan.spec.nuisance:
        return [{}]
    seed, count = sampler_seed(plan.spec.seed, 0, 0), plan.nuisance_points
    if not plan.spec.nuisance_base:
        return sobol_values(plan.spec.nuisance, count, seed)
    base = {name: getattr(plan.base, name) for name in sorted(plan.spec.nuisance)}
    return [base, *sobol_values(plan.spec.nuisance, count - 1, seed)]


def canonical_json(value: Any) -> str:
    """JSON that does not depend on the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """sha256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def differences(kept: Mapping[str, Any], given: Mapping[str, Any], path: str = "") -> list[str]:
    """The differences of two identities, as `field: kept → given`."""
    lines = []
    for name in sorted(set(kept) | set(given)):
        old, new = kept.get(name), given.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += differences(old, new, f"{path}{name}.")
        elif old != new:
            lines.append(f"{path}{name}: {old!r} → {new!r}")
    return lines
