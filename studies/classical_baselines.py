"""What do classical classifiers, LeNet-5 and a small CNN-Transformer hybrid reach here?

The baselines in the surveys of reports R0 and R4.  The classifiers are scikit-learn's, each fitted
once (one row of metrics and predictions, no curve); the two networks are trained.  All use all
images, as do the figures R4 quotes.  R4's tuned CNN is left out, because its shape is not given.

    python -m fashion_hpo.study classical_baselines
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

QUOTED = {"mlp": 0.871, "random_forest": 0.873, "lenet5": 0.98}
REGIME = Regime(at={"architecture": "lenet5"}, reaches=0.87, steps=3_000)

STUDY = StudySpec(
    base=TrainConfig(architecture="lenet5", epochs=20),
    scientific={
        "architecture": levels(
            "logistic_regression", "nearest_neighbours", "svm", "random_forest", "mlp",
            "lenet5", "cnn_transformer",
        )
    },
    folds=True,
    claims=[
        Claim(id="R4.c", regime=REGIME, parts=[
            Part("val_accuracy", "same", figure=figure, margin=0.01, at={"architecture": name})
            for name, figure in QUOTED.items()
        ])
    ],
    budgets={
        "quick": Budget(epochs=2, train_images=2_000, seeds=1),
        "standard": Budget(),
        "full": Budget(seeds=5),
    },
)  # fmt: skip
