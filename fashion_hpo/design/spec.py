"""`StudySpec`: the study that a study file defines.

A hyperparameter has one of the roles of the deep-learning tuning playbook (Godbole et al. 2023):
scientific (the question), nuisance (tuned, over the same points for every level) or fixed (in the
base config).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.design.budgets import BUDGETS
from fashion_hpo.design.checks import (
    check_choice,
    check_count,
    check_flag,
    check_mapping,
    make_plain,
    plain,
)
from fashion_hpo.design.claim_kinds.kind import Direction as Direction
from fashion_hpo.design.claim_kinds.kind import Level as Level
from fashion_hpo.design.claim_kinds.kind import Part as Part
from fashion_hpo.design.claims import Claim as Claim  # a study file has all it needs from here
from fashion_hpo.design.claims import Regime as Regime
from fashion_hpo.design.claims import check_claims
from fashion_hpo.design.config import TrainConfig, check_varied
from fashion_hpo.design.coupling import Coupled, brought, check_coupled
from fashion_hpo.design.data_set import DataSet as DataSet
from fashion_hpo.design.search import Search as Search
from fashion_hpo.design.search import check_search, check_startup, plain_ranges
from fashion_hpo.design.sentences import quoted
from fashion_hpo.design.warm_start import contains

Models = Literal["all", "best"]
NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def levels(*values: Level) -> tuple[Level, ...]:
    """The values of a scientific hyperparameter, in the order of tables and figures."""
    return tuple(map(plain, values))


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The size of a study under a budget; fields that are None are as in the study."""

    epochs: int | None = None
    train_images: int | None = None
    seeds: int | None = None
    max_seeds: int | None = None
    nuisance_points: int | None = None
    trials: int | None = None  # of a search
    startup_trials: int | None = None  # of a search
    finalists: int | None = None  # of a search
    fresh_seeds: int | None = None  # of a search
    resume_pruned: int | None = None  # of a search
    scientific: Mapping[str, tuple[Level, ...]] | None = None  # fewer levels

    def __post_init__(self) -> None:
        make_plain(self)


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """A study: a design (all points known beforehand) or, with `search`, a search.

    Raises ValueError naming the field, its value and what is allowed.
    """

    base: TrainConfig
    scientific: Mapping[str, tuple[Level, ...]] = field(default_factory=dict)
    nuisance: Mapping[str, BaseDistribution] = field(default_factory=dict)
    nuisance_points: int = 1
    nuisance_base: bool = False  # whether the first nuisance point is the base config's values
    seeds: int = 3
    max_seeds: int | None = None  # with `--more-seeds`; None: no more, one look
    folds: bool = False  # whether each seed has validation and training images of its own
    equal_steps: bool = False  # every trial makes the base config's optimizer steps, not its epochs
    coupled: Coupled = field(default_factory=dict)  # values that bring others: `design.coupling`
    search: Search | None = None
    claims: tuple[Claim, ...] | list[Claim] = ()
    captions: Mapping[Level, str] = field(default_factory=dict)  # levels with their own figure
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    models: Models = "all"  # "best": those that lead their level, or their search, when they end
    seed: int = 0
    data: DataSet | None = None  # of one's own; None: Fashion-MNIST, or that of --data

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "nuisance", plain_ranges(self.nuisance))
        _check_types(self)
        _check_counts(self)
        _check_roles(self)
        _check_budgets(self)
        check_claims(self.claims, self.scientific, _most_epochs(self), untuned=self.nuisance_base)

    @property
    def kind(self) -> str:
        """ "design" or "search"."""
        return "search" if self.search else "design"


@dataclass(frozen=True, kw_only=True)
class KeptSpec(StudySpec):
    """A study read from a ledger.  It is not checked again: the budget may have changed its base
    config since the check."""

    def __post_init__(self) -> None:
        pass


def check_name(name: str) -> str:
    """The name of a study; raises ValueError for an invalid name, such as a path."""
    if not NAME.fullmatch(name):
        raise ValueError(
            f"study name is {quoted(name, 40)}; allowed are up to 63 of a-z, 0-9 and _, "
            "a letter first."
        )
    return name


def _check_types(spec: StudySpec) -> None:
    if not isinstance(spec.base, TrainConfig):
        raise ValueError(f"base is {spec.base!r}; allowed is a TrainConfig.")
    if spec.search is not None and not isinstance(spec.search, Search):
        raise ValueError(f"search is {spec.search!r}; allowed is a Search.")
    if spec.data is not None and not isinstance(spec.data, DataSet):
        raise ValueError(f'data is {spec.data!r}; allowed is a DataSet, as DataSet("my/pictures").')
    for name in ("scientific", "nuisance", "captions", "budgets"):
        check_mapping(name, getattr(spec, name))
    if not isinstance(spec.claims, tuple | list):
        raise ValueError(f"claims is {spec.claims!r}; allowed is a list of Claims.")
    check_flag("nuisance_base", spec.nuisance_base)
    check_flag("folds", spec.folds)
    check_flag("equal_steps", spec.equal_steps)
    if spec.equal_steps and (spec.search or "epochs" in {*spec.scientific, *spec.nuisance}):
        raise ValueError(
            "equal_steps is True in a search, or where epochs vary; it chooses the epochs of "
            "each trial, so leave equal_steps out."
        )
    if spec.folds and (spec.search is not None or spec.base.fold):
        raise ValueError(
            "folds is True in a search, or with base.fold; searches and chosen folds have one "
            "split, so leave folds out."
        )
    check_count("seed", spec.seed, least=0)


def _check_counts(spec: StudySpec) -> None:
    check_choice("models", spec.models, get_args(Models))
    for name in ("seeds", "nuisance_points"):
        check_count(name, getattr(spec, name))
    if spec.max_seeds is not None:
        check_count("max_seeds", spec.max_seeds)
    if spec.search is not None:
        check_search(spec.search)


def _check_roles(spec: StudySpec) -> None:
    if spec.search is None and not spec.scientific:
        raise ValueError("scientific is empty; name at least one field and its levels.")
    if spec.search is not None and (spec.scientific or spec.nuisance):
        raise ValueError("search excludes scientific and nuisance; put all ranges in search.space.")
    space = spec.search.space if spec.search else {}
    if spec.search is not None and not space:
        raise ValueError("search.space is empty; name at least one field and its range.")
    twice = set(spec.scientific) & set(spec.nuisance)
    if twice:
        raise ValueError(f"{min(twice)} is both scientific and nuisance; give it one role.")
    if spec.nuisance_base and not spec.nuisance:
        raise ValueError("nuisance_base is True without nuisance; name a nuisance field's range.")
    for name, values in spec.scientific.items():
        _check_several(f"scientific[{name!r}]", values)
    check_coupled(spec.coupled, spec.scientific, {**spec.nuisance, **space})
    check_levels(spec, spec.scientific, "scientific")
    for role, ranges in (("nuisance", spec.nuisance), ("search.space", space)):
        for name, distribution in ranges.items():
            _check_range(spec, role, name, distribution)
    if spec.search is not None and spec.search.defaults:
        for name, distribution in space.items():
            _check_default(name, getattr(spec.base, name), distribution)


def check_levels(spec: StudySpec, scientific: Mapping[str, tuple[Level, ...]], role: str) -> None:
    """Raise ValueError, naming the field, unless every level makes a valid config."""
    for name, values in scientific.items():
        check_varied(role, name)
        _check_several(f"{role}[{name!r}]", values)
        for value in values:
            _check_value(spec, name, value)
        if len(set(values)) < len(values):
            raise ValueError(f"{role}[{name!r}] is {values!r}; name each level once.")


def _check_several(where: str, values: object) -> None:
    if not isinstance(values, tuple | list) or not values:
        raise ValueError(f"{where} is {values!r}; write levels(…) with at least one level.")


def _check_range(spec: StudySpec, role: str, name: str, distribution: object) -> None:
    check_varied(role, name)
    if isinstance(distribution, CategoricalDistribution):
        ends: list[Any] = list(distribution.choices)
    elif isinstance(distribution, FloatDistribution | IntDistribution):
        ends = [distribution.low, distribution.high]
    else:
        raise ValueError(
            f"{role}[{name!r}] is {distribution!r}; allowed is a FloatDistribution, an "
            "IntDistribution or a CategoricalDistribution."
        )
    for value in ends:
        _check_value(spec, name, value)


def _check_value(spec: StudySpec, name: str, value: Any) -> None:
    """Raise ValueError unless the value, with those that it brings along, makes a valid config."""
    spec.base.replace(**{name: value}, **brought({name: value}, spec.coupled))


def _check_default(name: str, value: Any, distribution: BaseDistribution) -> None:
    if not contains(distribution, value):
        raise ValueError(
            f"search.defaults is True, and base.{name} is {value!r}, outside "
            f"search.space[{name!r}]; widen the range or change the base config."
        )


def _check_budgets(spec: StudySpec) -> None:
    for name, budget in spec.budgets.items():
        check_choice("budgets", name, BUDGETS)
        if not isinstance(budget, Budget):
            raise ValueError(f"budgets[{name!r}] is {budget!r}; allowed is a Budget.")
        for count in (
            "epochs", "train_images", "seeds", "max_seeds", "nuisance_points", "trials",
            "startup_trials", "fresh_seeds",
        ):  # fmt: skip
            if (value := getattr(budget, count)) is not None:
                check_count(f"budgets[{name!r}].{count}", value)
        for count in ("finalists", "resume_pruned"):
            if (value := getattr(budget, count)) is not None:
                check_count(f"budgets[{name!r}].{count}", value, least=0)
        for count in ("trials", "startup_trials", "finalists", "fresh_seeds", "resume_pruned"):
            if (value := getattr(budget, count)) is not None and spec.search is None:
                raise ValueError(
                    f"budgets[{name!r}].{count} is {value}, but the study is not a search; give "
                    "seeds or levels instead."
                )
        if spec.search is not None:
            startup = budget.startup_trials or spec.search.startup_trials
            check_startup(f"budgets[{name!r}]", startup, budget.trials or spec.search.trials)
        first, most = (budget.seeds or spec.seeds), budget.max_seeds or spec.max_seeds
        if most is not None and most < first:
            raise ValueError(
                f"budgets[{name!r}] has max_seeds {most}, fewer than its seeds, {first}; raise it."
            )
        role = f"budgets[{name!r}].scientific"
        fewer = {} if budget.scientific is None else budget.scientific
        check_mapping(role, fewer)
        for varied in fewer:
            check_choice(role, varied, tuple(spec.scientific))
        check_levels(spec, fewer, role)


def _most_epochs(spec: StudySpec) -> int:
    sizes = [budget.epochs for budget in spec.budgets.values()]
    return max((epochs or spec.base.epochs for epochs in sizes), default=spec.base.epochs)
