import dataclasses
import json
from collections import Counter
from typing import Any

import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from fashion_hpo.design.config import TrainConfig, field_names
from fashion_hpo.design.plan import (
    Plan,
    canonical_json,
    differences,
    digest,
    make_plan,
    make_point,
    nuisance_values,
    point_id,
    points,
    sampler_seed,
    training_seed,
)
from fashion_hpo.design.sequences import place
from fashion_hpo.design.spec import Budget, Search, StudySpec, levels

BASE = TrainConfig(epochs=4, train_images=1_000, schedule="constant")
RATES = FloatDistribution(1e-4, 1e-2, log=True)
NUISANCE: dict[str, BaseDistribution] = {
    "learning_rate": RATES,
    "accumulation": IntDistribution(1, 4),
}
ONE_BELOW = 1 - 2**-53  # the largest number under 1

CHANGED: dict[str, Any] = {
    "architecture": "simple_cnn", "architecture_options": {"channels": 3}, "dropout": 0.1,
    "train_images": 2_000, "pixel_range": "symmetric", "epochs": 5, "batch_size": 64,
    "accumulation": 2, "optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.8,
    "weight_decay": 0.1, "schedule": "cosine", "final_learning_rate": 1e-6, "cycle_epochs": 3.0,
    "label_smoothing": 0.1, "mixup_alpha": 0.2, "early_stopping_patience": 3,
    "early_stopping_delta": 0.1, "precision": "fp32", "seed": 5, "step_epochs": 3.0,
    "step_factor": 0.5, "warmup_epochs": 1.0, "head_l2": 0.1, "mixup_per_image": True,
    "cutmix_alpha": 0.2, "rotation": 10.0, "shift": 0.1, "zoom": 0.1, "shear": 10.0, "flip": 0.5,
    "randaugment_operations": 2, "randaugment_magnitude": 5, "erasing": 0.5, "fold": 1,
    "decay_weights_only": True, "warp": 0.5, "shift_pixels": 2, "cycle_decay": 0.5,
    "head_l2_layers": 2,
}  # fmt: skip


def design(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "base": BASE,
        "scientific": {"dropout": levels(0.0, 0.25, 0.5), "optimizer": levels("adam", "sgd")},
        "nuisance": NUISANCE,
        "nuisance_points": 3,
        "seeds": 2,
        "budgets": {"standard": Budget()},
    }
    return StudySpec(**{**values, **changes})


def plan(spec: StudySpec | None = None, budget: str = "standard", **options: Any) -> Plan:
    return make_plan("tiny", "Does it?", spec or design(), budget, **options)


def search_plan(budget: str = "standard", **changes: Any) -> Plan:
    space = {"dropout": FloatDistribution(0.0, 0.5), "learning_rate": RATES}
    values: dict[str, Any] = {"space": space, "trials": 7}
    budgets = {"quick": Budget(trials=2, epochs=1), "standard": Budget()}
    spec = StudySpec(base=BASE, search=Search(**{**values, **changes}), budgets=budgets)
    return plan(spec, budget)


def ids(of: Plan) -> list[str]:
    return [point.id for point in points(of)]


def test_a_design_is_levels_by_nuisance_points_by_seeds() -> None:
    made = points(plan())
    assert len(made) == plan().trials == 3 * 2 * 3 * 2
    assert len({point.id for point in made}) == len(made)
    cells = Counter((point.config.dropout, point.config.optimizer) for point in made)
    assert set(cells.values()) == {6}
    assert plan(design(nuisance={})).trials == 3 * 2 * 2  # no ranges, so no points over them


def test_image_passes_count_every_epoch_of_every_trial() -> None:
    assert plan().image_passes == 36 * 4 * 1_000
    assert search_plan().image_passes == 7 * 4 * 1_000


def test_a_pruner_after_one_epoch_lets_only_the_best_go_on() -> None:
    """Those have the other three epochs; who is brought to its end ends twice."""
    made = search_plan(pruner="one_epoch", resume_pruned=2)
    assert (made.image_passes, made.trials, made.endings) == ((7 + 2 * 3) * 1_000, 7, 9)
    assert search_plan(pruner="one_epoch", resume_pruned=99).image_passes == 7 * 4 * 1_000


def test_a_study_cut_short_is_balanced() -> None:
    made = points(plan())
    assert [point.seed_index for point in made] == [0] * 18 + [1] * 18
    for end in range(6, 37, 6):  # after every round over the levels
        counts = Counter((p.config.dropout, p.config.optimizer) for p in made[:end])
        assert set(counts.values()) == {end // 6}
    order = [(point.config.dropout, point.config.optimizer) for point in made[:6]]
    assert order == [(d, o) for d in (0.0, 0.25, 0.5) for o in ("adam", "sgd")]


def test_all_levels_share_seeds_and_nuisance_points() -> None:
    met: dict[tuple[float, str], list[tuple[int, float, int]]] = {}
    for point in points(plan()):
        c = point.config
        assert c.seed == training_seed(0, point.seed_index)
        assert point.params == {n: getattr(c, n) for n in NUISANCE}
        met.setdefault((c.dropout, c.optimizer), []).append(
            (c.seed, c.learning_rate, c.accumulation)
        )
    assert len(met) == 6
    first, *others = met.values()
    assert all(other == first for other in others)
    assert len(set(first)) == 6


def test_seeds_differ_by_study_seed_and_index_and_fit_a_config() -> None:
    seeds = [training_seed(study, index) for study in range(5) for index in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    samplers = [sampler_seed(s, w, t) for s in range(3) for w in range(4) for t in range(5)]
    assert len(set(samplers)) == len(samplers)
    assert all(0 <= seed < 2**32 for seed in samplers)


def test_training_seeds_are_the_same_in_every_version() -> None:
    """A study run again elsewhere, years later, is the same study."""
    assert training_seed(0, 0) == 1132494227108516169
    assert training_seed(3, 1) == 902790237088727817


def test_every_field_decides_the_points_id() -> None:
    assert set(CHANGED) == set(field_names())
    found = {point_id(BASE), *(point_id(BASE.replace(**{n: v})) for n, v in CHANGED.items())}
    assert len(found) == 1 + len(CHANGED)
    assert all(len(each) == 16 and int(each, 16) >= 0 for each in found)


def test_ids_are_the_same_in_every_version() -> None:
    """Others would let every study that was begun start over."""
    assert point_id(TrainConfig()) == "099c6417b4d53141"
    used = TrainConfig(
        architecture="optimized_cnn", architecture_options={"channels": 8}, mixup_alpha=0.3, seed=5
    )
    assert point_id(used) == "ff54eb03338c02cf"
    base = plan().identity()["base"]
    assert digest(base) == digest(BASE.identity())
    assert "flip" not in base
    flipped = plan(changes={"flip": 0.5}).identity()
    assert differences(plan().identity(), flipped) == ["base.flip: None → 0.5"]


def test_the_order_of_keys_decides_no_id() -> None:
    swapped = design(
        scientific=dict(reversed([*design().scientific.items()])),
        nuisance=dict(reversed(NUISANCE.items())),
    )
    assert sorted(ids(plan(swapped))) == sorted(ids(plan()))
    assert digest(plan(swapped).identity()) == digest(plan().identity())
    one = BASE.replace(architecture_options={"channels": 2, "hidden": 4})
    other = BASE.replace(architecture_options={"hidden": 4, "channels": 2})
    assert point_id(one) == point_id(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": 3},
        {
            "scientific": {
                "dropout": levels(0.5, 0.1, 0.25, 0.0),
                "optimizer": levels("adam", "sgd"),
            }
        },
        *({"nuisance_points": count} for count in range(4, 10)),
    ],
)
def test_a_larger_study_keeps_its_points_and_its_identity(changes: dict[str, Any]) -> None:
    larger = plan(design(**changes))
    assert set(ids(plan())) < set(ids(larger))
    assert larger.identity() == plan().identity()
    assert larger.extent() != plan().extent()


def test_trials_may_have_equal_steps_instead_of_equal_epochs() -> None:
    sizes = {"batch_size": levels(32, 100, 512)}
    equal = plan(design(scientific=sizes, nuisance={}, equal_steps=True, seeds=1))
    assert equal.base.steps == 4 * 8
    assert [point.config.epochs for point in points(equal)] == [1, 4, 16]
    assert [point.config.steps for point in points(equal)] == [32, 40, 32]
    assert (equal.epochs, equal.length) == (21, "32 optimizer steps")
    assert equal.identity()["equal_steps"]
    assert "equal_steps" not in plan().identity()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_bases_own_nuisance_values_may_be_the_first_point(count: int) -> None:
    drawn = nuisance_values(plan(design(nuisance_points=count - 1))) if count > 1 else []
    made = plan(design(nuisance_points=count, nuisance_base=True))
    assert nuisance_values(made) == [{n: getattr(made.base, n) for n in NUISANCE}, *drawn]
    assert made.identity() == plan().identity()
    assert made.extent()["nuisance_base"]
    assert "nuisance_base" not in plan().extent()


def test_more_seeds_are_added_to_the_budgets() -> None:
    assert plan(more_seeds=2).seeds == 4
    assert set(ids(plan())) < set(ids(plan(more_seeds=2)))


@pytest.mark.parametrize(
    ("field", "distribution"),
    [
        ("learning_rate", RATES),
        ("dropout", FloatDistribution(0.1, 0.7)),
        ("weight_decay", FloatDistribution(0.0, 0.3, step=0.1)),
        ("epochs", IntDistribution(3, 11, step=4)),
        ("batch_size", IntDistribution(16, 256, log=True)),
        ("schedule", CategoricalDistribution(["constant", "cosine"])),
    ],
)
def test_nuisance_values_are_in_their_range(field: str, distribution: BaseDistribution) -> None:
    spec = design(scientific={"mixup_alpha": levels(0.0)}, nuisance={field: distribution})
    drawn = [
        row[field] for row in nuisance_values(plan(dataclasses.replace(spec, nuisance_points=64)))
    ]
    assert len(drawn) == 64
    assert all(distribution._contains(distribution.to_internal_repr(v)) for v in drawn)
    assert len(set(drawn)) > 1
    if isinstance(distribution, IntDistribution):
        assert all(type(value) is int for value in drawn)


def test_nuisance_points_fill_the_range_evenly_on_its_scale() -> None:
    spec = design(nuisance={"learning_rate": RATES}, nuisance_points=16)
    drawn = [row["learning_rate"] for row in nuisance_values(plan(spec))]
    assert len(set(drawn)) == 16
    assert sum(value < 1e-3 for value in drawn) == 8  # half of the decades


@pytest.mark.parametrize(
    ("distribution", "lowest", "highest"),
    [
        (FloatDistribution(0.1, 0.7), 0.1, 0.7),
        (FloatDistribution(1e-4, 1e-2, log=True), 1e-4, 1e-2),
        (FloatDistribution(0.0, 0.3, step=0.1), 0.0, 0.3),
        (IntDistribution(2, 5), 2, 5),
        (IntDistribution(3, 11, step=4), 3, 11),
        (IntDistribution(1, 8, log=True), 1, 8),
        (IntDistribution(16, 256, log=True), 16, 256),
        (IntDistribution(4, 4), 4, 4),
        (CategoricalDistribution(["a", "b", "c"]), "a", "c"),
    ],
)
def test_both_ends_of_the_unit_interval_are_the_ranges_ends(
    distribution: BaseDistribution, lowest: Any, highest: Any
) -> None:
    for u, value in ((0.0, lowest), (ONE_BELOW, highest)):
        placed = place(distribution, u)
        assert placed == value
        assert type(placed) is type(value)
        assert distribution._contains(distribution.to_internal_repr(placed))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("u", [0.0, 0.5, ONE_BELOW])
def test_six_digits_never_leave_a_narrow_range(u: float, log: bool) -> None:
    distribution = FloatDistribution(0.12345671, 0.12345678, log=log)
    assert distribution.low <= place(distribution, u) <= distribution.high


@pytest.mark.parametrize(
    ("distribution", "values"),
    [
        (FloatDistribution(0.0, 1.0, step=0.5), [0.0, 0.5, 1.0]),
        (IntDistribution(0, 10, step=5), [0, 5, 10]),
        (IntDistribution(1, 3), [1, 2, 3]),
        (CategoricalDistribution(["a", "b", "c"]), ["a", "b", "c"]),
    ],
)
def test_each_value_of_a_stepped_range_has_an_equal_share(
    distribution: BaseDistribution, values: list[Any]
) -> None:
    counts = Counter(place(distribution, (i + 0.5) / 300) for i in range(300))
    assert counts == dict.fromkeys(values, 100)


def test_a_budgets_limits_go_before_the_studys() -> None:
    fewer = {"dropout": levels(0.0, 0.5)}
    budgets = {
        "quick": Budget(epochs=1, train_images=500, seeds=1, nuisance_points=2, scientific=fewer),
        "standard": Budget(),
    }
    quick, standard = plan(design(budgets=budgets), "quick"), plan(design(budgets=budgets))
    assert (quick.base.epochs, quick.base.train_images) == (1, 500)
    assert (quick.seeds, quick.nuisance_points, quick.trials) == (1, 2, 2 * 2 * 2)
    assert quick.scientific == {**fewer, "optimizer": ("adam", "sgd")}
    assert (standard.base, standard.trials) == (BASE, 36)


def test_a_budget_limits_a_search() -> None:
    quick = search_plan("quick")
    assert (quick.trials, quick.base.epochs) == (2, 1)
    assert search_plan().trials == 7
    assert quick.search is not None
    assert (quick.search.sampler, quick.search.pruner) == ("tpe", "hyperband")


def test_an_unknown_budget_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"^budget is 'full'; study tiny has standard\.$"):
        plan(budget="full")
    with pytest.raises(ValueError, match="study tiny has none"):
        plan(design(budgets={}))


def test_a_fixed_field_can_be_set_also_against_the_budget() -> None:
    spec = design(budgets={"quick": Budget(epochs=1)})
    changed = plan(spec, "quick", changes={"epochs": 9, "weight_decay": 0.5})
    assert (changed.base.epochs, changed.base.weight_decay) == (9, 0.5)
    assert {point.config.epochs for point in points(changed)} == {9}
    with pytest.raises(ValueError, match="epochs is 0"):
        plan(changes={"epochs": 0})


@pytest.mark.parametrize("field", ["dropout", "optimizer", "learning_rate", "accumulation", "seed"])
def test_a_varied_field_cannot_be_set(field: str) -> None:
    with pytest.raises(ValueError, match=f"^study tiny varies {field}; --set cannot set it"):
        plan(changes={field: CHANGED[field]})


def test_a_searched_field_cannot_be_set() -> None:
    with pytest.raises(ValueError, match=r"^study tiny varies dropout"):
        make_plan("tiny", "", search_plan().spec, "standard", changes={"dropout": 0.1})


@pytest.mark.parametrize(
    "changes",
    [
        {"base": BASE.replace(epochs=5)},
        {"scientific": {"dropout": levels(0.0, 0.25, 0.5)}},
        {"nuisance": {**NUISANCE, "learning_rate": FloatDistribution(1e-4, 2e-2, log=True)}},
        {"nuisance": {**NUISANCE, "learning_rate": FloatDistribution(1e-4, 1e-2)}},
        {"seed": 1},
    ],
)
def test_what_changes_the_meaning_changes_the_identity(changes: dict[str, Any]) -> None:
    assert plan(design(**changes)).identity() != plan().identity()


def test_the_identity_of_a_search_has_its_sampler_and_pruner_but_not_its_count() -> None:
    assert search_plan(trials=8).identity() == search_plan().identity()
    assert search_plan(sampler="random").identity() != search_plan().identity()
    assert search_plan(pruner="none").identity() != search_plan().identity()
    assert search_plan().identity()["kind"] == "search"


def test_the_identity_of_a_search_has_its_startup_trials_where_they_are_not_ten() -> None:
    def identity(startup_trials: int, sampler: str = "tpe") -> dict[str, Any]:
        made = search_plan(sampler=sampler)
        assert made.search is not None
        search = dataclasses.replace(made.search, startup_trials=startup_trials)
        return dataclasses.replace(made, search=search).identity()

    assert identity(3) == {**search_plan().identity(), "startup_trials": 3}
    assert identity(10) == search_plan().identity()
    assert identity(3, "random") == search_plan(sampler="random").identity()


def test_the_identity_of_a_search_has_its_objectives_where_there_are_several() -> None:
    assert "objectives" not in search_plan().identity()
    several = search_plan(pruner="none", objectives=("val_accuracy", "flops"))
    assert several.identity()["objectives"] == ["val_accuracy", "flops"]


def test_identity_and_extent_come_back_from_json() -> None:
    for made in (plan(), search_plan()):
        for value in (made.identity(), made.extent()):
            assert json.loads(canonical_json(value)) == value


def test_a_searched_point_carries_the_proposed_values() -> None:
    values = {"dropout": 0.3, "learning_rate": 0.002}
    point = make_point(search_plan(), values, values)
    assert point.config == BASE.replace(**values, seed=training_seed(0, 0))
    assert (point.params, point.id) == (values, point_id(point.config))


def test_canonical_json_is_one_text_for_one_value() -> None:
    assert canonical_json({"b": [1, 2.0], "a": None}) == '{"a":null,"b":[1,2.0]}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert digest(1) != digest("1")
    assert digest({}) == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"loss": float("nan")})


def test_differences_name_the_path_and_both_values() -> None:
    kept = {"base": {"epochs": 4, "dropout": 0.0}, "seed": 0, "old": 1}
    given = {"base": {"epochs": 5, "dropout": 0.0}, "seed": 0, "new": {"a": 2}}
    assert differences(kept, given) == [
        "base.epochs: 4 → 5",
        "new: None → {'a': 2}",
        "old: 1 → None",
    ]
    assert differences(kept, kept) == []
    assert differences(plan().identity(), plan(design(seed=3)).identity()) == ["study_seed: 0 → 3"]


def test_more_seeds_of_a_search_are_refused() -> None:
    wanted = Search(space={"dropout": FloatDistribution(0, 0.5)}, trials=3)
    spec = StudySpec(base=TrainConfig(), search=wanted, budgets={"quick": Budget()})
    with pytest.raises(ValueError, match="--more-seeds is 2, but hunt is a search"):
        make_plan("hunt", "Which?", spec, "quick", more_seeds=2)
