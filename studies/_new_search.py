"""Which learning rate, batch size and dropout give the CNN its best validation accuracy?

    python -m fashion_hpo.study NAME --budget quick      # proves that it runs, in minutes
    python -m fashion_hpo.study NAME

The first paragraph is the question, as tables and pages show it.  docs/writing-studies.md lists
everything that a study can say.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Search, StudySpec

STUDY = StudySpec(
    # What all trials share; `python -m fashion_hpo.train --list` shows every field and its default.
    base=TrainConfig(architecture="cnn", epochs=8, train_images=20_000),
    search=Search(
        # What is searched, by the names of the config's fields, with Optuna's distributions.
        space={
            "learning_rate": FloatDistribution(3e-4, 1e-2, log=True),
            "batch_size": CategoricalDistribution([64, 128, 256]),
            "dropout": FloatDistribution(0.0, 0.5),
        },
        trials=20,
        sampler="tpe",  # random for its first ten trials
        pruner="hyperband",
        defaults=True,  # the base config's values are tried first
        # The best are trained again on seeds that no sampler saw: the winner's honest figure.
        finalists=2,
        fresh_seeds=2,
    ),
    budgets={
        "quick": Budget(epochs=2, train_images=2_000, trials=3, finalists=1, fresh_seeds=1),
        "standard": Budget(),  # as above
    },
)
