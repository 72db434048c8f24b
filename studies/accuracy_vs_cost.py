"""Which networks give the best accuracy for their number of parameters?

A search with two objectives, accuracy and number of parameters, by TPE.  The answer is a Pareto
front; `register` takes the most accurate trial.  No pruner, because pruners compare one objective.

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
        finalists=0,  # a front has no single winner
    ),
    budgets={
        "quick": Budget(epochs=3, train_images=3_000, trials=8),
        "standard": Budget(train_images=10_000, trials=30),
        "full": Budget(epochs=30, trials=100),
    },
)
