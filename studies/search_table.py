"""How accurate are the settings of `best_model`'s space, epoch by epoch, at a small scale?

A table on which `bench search` replays samplers and pruners: quasi-random points of the same space,
none of them pruned.  For one core all three networks have 4 channels in their first layer instead
of 32, 32 and 24, and a trial has few images and epochs; their ranking need not be that of the
networks in full.

    python -m fashion_hpo.study search_table
    python -m fashion_hpo.report search_table --csv

The two tables that `report` then writes are kept, compressed by gzip, as
`fashion_hpo/measuring/search_table/`.
"""

from optuna.distributions import CategoricalDistribution, FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Search, StudySpec

STUDY = StudySpec(
    base=TrainConfig(
        architecture="resnet9", architecture_options={"channels": 4}, optimizer="adamw",
        learning_rate=3e-3, weight_decay=0.05, label_smoothing=0.1, flip=0.5, erasing=0.25,
        epochs=5, train_images=1_500,
    ),
    search=Search(
        space={
            "dropout": FloatDistribution(0.0, 0.4),
            "learning_rate": FloatDistribution(1e-3, 1e-2, log=True),
            "batch_size": CategoricalDistribution([64, 128, 256]),
            "mixup_alpha": FloatDistribution(0.0, 0.3),
            "architecture": CategoricalDistribution(["cnn", "optimized_cnn", "resnet9"]),
        },
        trials=304,
        sampler="quasi_random",
        pruner="none",
        finalists=0,
    ),
    budgets={
        "quick": Budget(epochs=2, train_images=500, trials=4),
        "standard": Budget(),
        "full": Budget(epochs=12, train_images=10_000),
    },
)  # fmt: skip
