import math
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Search, StudySpec, check_name, levels

BASE = TrainConfig(schedule="constant")
RATES = FloatDistribution(1e-4, 1e-2, log=True)
SPACE = {"learning_rate": RATES}


def spec(**changes: Any) -> StudySpec:
    values: dict[str, Any] = {"base": BASE, "scientific": {"dropout": levels(0.0, 0.5)}}
    return StudySpec(**{**values, **changes})


def claim(**changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": "T.a",
        "text": "Dropout helps.",
        "measure": "val_loss",
        "contrast": ("dropout", 0.0, 0.5),
        "direction": "lower",
    }
    return Claim(**{**values, **changes})


def search(**changes: Any) -> dict[str, Any]:
    """What a spec needs in order to be a search."""
    values: dict[str, Any] = {"space": SPACE, "trials": 5}
    return {"scientific": {}, "search": Search(**{**values, **changes})}


def refusal(**changes: Any) -> str:
    with pytest.raises(ValueError, match=r"^[^\n]+[.?]$") as error:
        spec(**changes)
    return str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"scientific": {"dropout": levels(0, 0.5), "optimizer": levels("adam", "sgd")}},
        {"nuisance": SPACE, "nuisance_points": 3, "seeds": 1},
        {"nuisance": {"batch_size": IntDistribution(32, 512, log=True)}},
        {"nuisance": {"optimizer": CategoricalDistribution(["adam", "sgd"])}},
        {"claims": [claim(), claim(id="T.b", direction="higher", margin=0)]},
        {"claims": (claim(contrast=["dropout", 0.5, 0.0]),)},
        {"budgets": {"quick": Budget(epochs=1, scientific={"dropout": levels(0.0)})}},
        {"budgets": {"quick": Budget(), "standard": Budget(seeds=5), "full": Budget()}},
        {"captions": {0.0: "without"}, "seed": 7, "models": "best"},
        search(),
        search(sampler="random", pruner="none"),
        search(sampler="quasi_random"),
        search(sampler="gp", defaults=True, plateau=5),
        search(pruner="none", objectives=("val_accuracy", "flops", "parameters", "latency")),
    ],
)
def test_a_good_spec_is_taken(changes: dict[str, Any]) -> None:
    assert spec(**changes).kind == ("search" if "search" in changes else "design")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": {"dropout": 0}}, "base is {'dropout': 0}; allowed is a TrainConfig"),
        ({"search": "tpe"}, "search is 'tpe'; allowed is a Search"),
        ({"scientific": ["dropout"]}, "scientific is ['dropout']; allowed is a dict"),
        ({"nuisance": "learning_rate"}, "nuisance is 'learning_rate'; allowed is a dict"),
        ({"nuisance_base": 1}, "nuisance_base is 1; allowed is True or False"),
        ({"nuisance_base": True}, "nuisance_base is True without nuisance; name a nuisance"),
        ({"equal_steps": 1}, "equal_steps is 1; allowed is True or False"),
        (
            {"equal_steps": True, "scientific": {"epochs": levels(1, 2)}},
            "equal_steps is True in a search, or where epochs vary; it chooses the epochs",
        ),
        ({"claims": [claim(untuned=True)]}, "claim T.a: untuned is True, and the base's own"),
        ({"captions": ["without"]}, "captions is ['without']; allowed is a dict"),
        ({"budgets": ["quick"]}, "budgets is ['quick']; allowed is a dict"),
        (search(space=["dropout"]), "search.space is ['dropout']; allowed is a dict"),
        ({"claims": claim()}, "claims is Claim("),
        ({"claims": [claim(measure="gap")]}, "claim T.a: measure is 'gap'; choose one of"),
        ({"budgets": {"quick": Budget(trials=3)}}, "budgets['quick'].trials is 3, but the study"),
        ({"models": "one"}, "models is 'one'; choose one of all, best."),
        ({"seed": -1}, "seed is -1; allowed is a whole number from 0"),
        ({"seed": 0.5}, "seed is 0.5; allowed is a whole number from 0"),
    ],
)
def test_a_value_of_another_type_is_refused(changes: dict[str, Any], words: str) -> None:
    assert refusal(**changes).startswith(words)


@pytest.mark.parametrize("count", [0, -1, 1.0, True, "3", None])
def test_a_count_is_a_whole_number_from_one(count: Any) -> None:
    words = f"{{}} is {count!r}; allowed is a whole number from 1."
    assert refusal(seeds=count) == words.format("seeds")
    assert refusal(nuisance_points=count) == words.format("nuisance_points")
    assert refusal(**search(trials=count)) == words.format("search.trials")
    if count is not None:  # which says: as in the study
        for field in ("epochs", "train_images", "seeds", "nuisance_points", "trials"):
            wrong: dict[str, Any] = {field: count}
            assert refusal(budgets={"full": Budget(**wrong)}) == words.format(
                f"budgets['full'].{field}"
            )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scientific": {}}, ["scientific is empty"]),
        ({"scientific": {"dropout": ()}}, ["scientific['dropout'] is ()", "at least one level"]),
        ({"scientific": {"dropout": 0.5}}, ["scientific['dropout'] is 0.5"]),
        ({"scientific": {"dropout": (0, 0.0)}}, ["scientific['dropout'] is (0, 0.0)", "once"]),
        ({"scientific": {"dropout": (0.0, 1.0)}}, ["dropout is 1.0; allowed is 0 up to"]),
        ({"scientific": {"dropout": (0.0, math.nan)}}, ["dropout is nan"]),
        ({"scientific": {"dropout": (0.0, "0.5")}}, ["dropout is '0.5'; allowed is a number"]),
        ({"scientific": {"dropout": ([0.0], 0.5)}}, ["dropout is [0.0]; allowed is a number"]),
        ({"scientific": {"epochs": (3, 4.0)}}, ["epochs is 4.0; allowed is a whole number"]),
        ({"scientific": {"dropuot": (0.0, 0.5)}}, ["scientific has 'dropuot'", "dropout"]),
        ({"scientific": {"seed": (0, 1)}}, ["scientific has 'seed', which no study may vary"]),
        ({"scientific": {"architecture_options": ("a",)}}, ["has 'architecture_options'"]),
        (
            {"scientific": {"learning_rate": (0.1, 0.2)}, "nuisance": SPACE},
            ["learning_rate is both scientific and nuisance"],
        ),
    ],
)
def test_levels_that_cannot_be_trained_are_refused(
    changes: dict[str, Any], words: list[str]
) -> None:
    found = refusal(**changes)
    assert [word for word in words if word not in found] == []


def test_a_level_that_does_not_go_with_the_base_is_refused() -> None:
    base = BASE.replace(train_images=100, batch_size=50)
    found = refusal(base=base, scientific={"batch_size": levels(50, 200)})
    assert found.startswith("batch_size is 200, more than train_images, 100")


@pytest.mark.parametrize(
    ("ranges", "words"),
    [
        (
            {"learning_rate": (1e-4, 1e-2)},
            "['learning_rate'] is (0.0001, 0.01); allowed is a Float",
        ),
        ({"lr": RATES}, " has 'lr'; the fields are "),
        ({"seed": IntDistribution(0, 9)}, " has 'seed', which no study may vary; leave it out."),
        ({"dropout": FloatDistribution(0.5, 1.0)}, "dropout is 1.0; allowed is 0 up to"),
        ({"dropout": FloatDistribution(-0.5, 0.5)}, "dropout is -0.5; allowed is 0 up to"),
        ({"learning_rate": IntDistribution(1, 11)}, "learning_rate is 11.0; allowed is "),
        ({"epochs": FloatDistribution(1, 5)}, "epochs is 1.0; allowed is a whole number"),
        ({"optimizer": CategoricalDistribution(["adam", "lion"])}, "optimizer is 'lion'; choose "),
    ],
)
def test_a_range_that_cannot_be_sampled_is_refused(ranges: dict[str, Any], words: str) -> None:
    other = {"mixup_alpha": levels(0.0, 0.2)}
    assert words in refusal(scientific=other, nuisance=ranges)
    assert words in refusal(**search(space=ranges))
    if words.startswith((" ", "[")):
        assert refusal(scientific=other, nuisance=ranges).startswith("nuisance")
        assert refusal(**search(space=ranges)).startswith("search.space")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (search(space={}), "search.space is empty"),
        (
            search(sampler="grid"),
            "search.sampler is 'grid'; choose one of tpe, gp, quasi_random, random.",
        ),
        (search(pruner="asha"), "search.pruner is 'asha'; choose one of none, hyperband, "),
        (search(objectives=()), "search.objectives is (); allowed is a tuple of objectives."),
        (search(objectives=("cost",)), "search.objectives is 'cost'; choose one of val_accuracy"),
        (search(objectives=("parameters",)), "search.objectives begins with 'parameters'; put "),
        (search(objectives=("val_accuracy", "flops", "flops")), "search.objectives is ('val_"),
        (search(objectives=("val_accuracy", "flops")), "search.pruner is 'hyperband', but the "),
        (search(plateau=-1), "search.plateau is -1; allowed is a whole number from 0."),
        (search(resume_pruned=-1), "search.resume_pruned is -1; allowed is a whole number from 0."),
        (
            search(startup_trials=4, trials=4),
            "search has startup_trials 4 and trials 4, so that all trials would be random; set ",
        ),
        (
            search(pruner="one_epoch"),
            "search.pruner is 'one_epoch', which prunes every trial, but search.resume_pruned is ",
        ),
        (
            search(pruner="none", resume_pruned=2),
            "search.resume_pruned is 2, but search.pruner is 'none'; set a ",
        ),
        (
            search(defaults=True, space={"learning_rate": FloatDistribution(0.1, 0.2)}),
            "search.defaults is True, and base.learning_rate is 0.001, outside search.space[",
        ),
        (
            search(defaults=True, space={"batch_size": IntDistribution(100, 200, step=25)}),
            "search.defaults is True, and base.batch_size is 128, outside",
        ),
        (
            search(defaults=True, space={"optimizer": CategoricalDistribution(["sgd"])}),
            "search.defaults is True, and base.optimizer is 'adam', outside",
        ),
        ({"search": Search(space=SPACE, trials=1)}, "search excludes scientific and nuisance"),
        ({**search(), "nuisance": SPACE}, "search excludes scientific and nuisance"),
    ],
)
def test_a_search_that_cannot_be_run_is_refused(changes: dict[str, Any], words: str) -> None:
    assert refusal(**changes).startswith(words)


@pytest.mark.parametrize(
    ("budgets", "words"),
    [
        ({"tiny": Budget()}, "budgets is 'tiny'; choose one of quick, standard, full."),
        ({"quick": {"epochs": 1}}, "budgets['quick'] is {'epochs': 1}; allowed is a Budget."),
        (
            {"quick": Budget(scientific={"epochs": (1, 2)})},
            "budgets['quick'].scientific is 'epochs'; choose one of dropout.",
        ),
        (
            {"quick": Budget(scientific={"dropout": ()})},
            "budgets['quick'].scientific['dropout'] is (); write levels(…) with at least one ",
        ),
        (
            {"quick": Budget(scientific={"dropout": (0.5, 0.5)})},
            "budgets['quick'].scientific['dropout'] is (0.5, 0.5); name each level once.",
        ),
        ({"full": Budget(scientific={"dropout": (0.0, 2.0)})}, "dropout is 2.0; allowed is "),
        (
            {"quick": Budget(scientific=["dropout"])},  # type: ignore[arg-type]
            "budgets['quick'].scientific is ['dropout']; allowed is a dict.",
        ),
    ],
)
def test_a_budget_that_does_not_fit_the_study_is_refused(
    budgets: dict[str, Any], words: str
) -> None:
    assert refusal(budgets=budgets).startswith(words)


def test_a_search_has_no_levels_that_a_budget_could_leave_out() -> None:
    budgets = {"quick": Budget(scientific={"dropout": (0.0,)})}
    assert refusal(**search(), budgets=budgets).endswith("is 'dropout'; choose one of none.")


@pytest.mark.parametrize("own", [None, 5])
def test_a_search_whose_trials_are_all_random_under_a_budget_is_refused(own: int | None) -> None:
    budgets = {"quick": Budget(trials=5, startup_trials=own)}
    said = refusal(**search(startup_trials=5, trials=9), budgets=budgets)
    assert said.startswith("budgets['quick'] has startup_trials 5 and trials 5, so that all ")
    assert spec(**search(startup_trials=5, trials=9), budgets={"quick": Budget(startup_trials=3)})
    assert spec(**search(trials=9), budgets={"quick": Budget(trials=5)}), "unset: no promise"


def test_claims_are_claims_with_ids_of_their_own() -> None:
    assert refusal(claims=["T.a"]) == "claims has 'T.a'; allowed is a Claim."
    assert refusal(claims=[claim(), claim()]).startswith("claims has 'T.a' twice")


@pytest.mark.parametrize("name", ["a", "dropout_ablation", "r2_figure_4", "a" * 63])
def test_a_name_of_lower_case_words_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", "..", "../up", "a/b", "/etc/passwd", "a\\b", "a.b", "a b", "a\n", "Dropout", "é",
        "2nd", "_a", "a-b", "a" * 64,
    ],
)  # fmt: skip
def test_a_name_that_could_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^study name is '.*; allowed are up to 63 of ") as error:
        check_name(name)
    assert repr(name[:40])[:-1] in str(error.value)


def test_a_name_of_600_characters_is_refused_in_one_short_line() -> None:
    with pytest.raises(ValueError, match=r"^study name is 'a{40}… \(600 characters\)';") as error:
        check_name("a" * 600)
    assert len(str(error.value)) < 200
