"""How many parameters does an accuracy cost, and which networks are worth theirs?

A search with two objectives: TPE proposes what may be more accurate, or as accurate with fewer
parameters.  The answer is a Pareto front; what `register` takes is the most accurate trial.
No pruner: those compare one objective.

    python -m fashion_hpo.study accuracy_vs_cost
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Search, StudySpec

STUDY = StudySpec(
    base=TrainConfig(optimizer="adamw", weight_decay=0.01, epochs=12),
    search=Search(
        space={
            "architecture": CategoricalDistribution(
                ["lenet5", "simple_cnn", "cnn", "optimized_cnn", "three_block_cnn"]
            ),
            "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
            "dropout": FloatDistribution(0.0, 0.5),
        },
        trials=30,
        sampler="tpe",
        pruner="none",
        objectives=("val_accuracy", "parameters"),
        finalists=0,  # a front has no one winner
    ),
    budgets={
        "quick": Budget(epochs=3, train_images=3_000, trials=8),
        "standard": Budget(train_images=10_000, trials=30),
        "full": Budget(epochs=30, trials=100),
    },
)
