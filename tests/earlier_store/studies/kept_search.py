"""Which learning rate and dropout suit a very small network?"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Search, StudySpec

STUDY = StudySpec(
    base=TrainConfig(
        architecture="simple_cnn",
        architecture_options={"channels": 4, "hidden": 16},
        train_images=2000,
        batch_size=50,
        epochs=3,
        precision="fp32",
    ),
    search=Search(
        space={
            "learning_rate": FloatDistribution(1e-4, 3e-2, log=True),
            "dropout": FloatDistribution(0.0, 0.5),
            "batch_size": CategoricalDistribution((25, 50)),
        },
        trials=4,
        sampler="tpe",
        pruner="one_epoch",
        resume_pruned=1,
        finalists=1,
        fresh_seeds=1,
    ),
    budgets={"quick": Budget()},
)
