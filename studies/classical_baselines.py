"""What do classical classifiers, LeNet-5 and a small CNN-Transformer hybrid reach here?

The yardsticks that the surveys of reports R0 and R4 name.  The classifiers are scikit-learn's, each
fitted once (one row of metrics and its predictions, no curve); the two networks are trained.

    python -m fashion_hpo.study classical_baselines
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(architecture="lenet5", epochs=20),
    scientific={
        "architecture": levels(
            "logistic_regression",
            "nearest_neighbours",
            "svm",
            "random_forest",
            "mlp",
            "lenet5",
            "cnn_transformer",
        )
    },
    budgets={
        "quick": Budget(epochs=2, train_images=2_000, seeds=1),
        "standard": Budget(train_images=10_000),
        "full": Budget(seeds=5),
    },
)
