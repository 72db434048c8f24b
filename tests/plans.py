"""Small plans that the suites of several rooms run."""

from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.plan import Plan, make_plan
from fashion_hpo.design.spec import Budget, Claim, Search, StudySpec, levels

TINY = TrainConfig(
    architecture="simple_cnn",
    architecture_options={"channels": 2, "hidden": 4},
    train_images=100,
    batch_size=50,
    epochs=3,
    learning_rate=0.01,
    precision="fp32",
)
BUDGETS = {"quick": Budget(), "standard": Budget()}


def design(*, more_seeds: int = 0, budget: str = "standard", **changes: Any) -> Plan:
    """Two levels of dropout by two seeds."""
    values: dict[str, Any] = {
        "base": TINY,
        "scientific": {"dropout": levels(0.0, 0.5)},
        "seeds": 2,
        "claims": [
            Claim(
                id="T.a",
                text="Dropout lowers the gap.",
                measure="generalization_gap",
                contrast=("dropout", 0.0, 0.5),
                direction="lower",
            )
        ],
        "budgets": BUDGETS,
    }
    spec = StudySpec(**{**values, **changes})
    return make_plan("tiny", "Does it run?", spec, budget, more_seeds=more_seeds)


def search(
    *,
    trials: int = 5,
    pruner: str = "hyperband",
    sampler: str = "tpe",
    base: TrainConfig = TINY,
    **options: Any,
) -> Plan:
    """A small search over three fields."""
    space = {
        "dropout": FloatDistribution(0.0, 0.5),
        "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
        "batch_size": CategoricalDistribution([25, 50]),
    }
    values = {"space": space, "trials": trials, "pruner": pruner, "sampler": sampler, **options}
    spec = StudySpec(base=base, search=Search(**values), budgets=BUDGETS)  # type: ignore[arg-type]
    return make_plan("tiny_search", "Which is best?", spec, "standard")
