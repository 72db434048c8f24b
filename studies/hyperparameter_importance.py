"""Which hyperparameter matters most for the optimized CNN, and which setting is best?

Report R2 varies one hyperparameter at a time and finds dropout the most important.  This is a full
factorial design: the importance of an effect is its share of the variance, for these ranges alone.
Both levels of each hyperparameter train well (the learning rates are half-way between the
ablation's low, middle and high rates).

    python -m fashion_hpo.study hyperparameter_importance

At equal epochs a batch of 512 makes 16 times fewer steps than one of 32, which is much of what the
batch size does at a small budget; the claims are asked where the report's own setting is trained to
the report's accuracy.  Standard: 48 trials, 2.4 million image passes, and asks neither.  Measured
there: batch size has 23 % of the variance, dropout 2 %.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Regime, StudySpec, levels

SETTING = {"dropout": 0.25, "learning_rate": 3e-4, "batch_size": 512}
REGIME = Regime(at=SETTING | {"weight_decay": 0.0}, reaches=0.89, steps=1_000)

STUDY = StudySpec(
    base=TrainConfig(architecture="optimized_cnn", schedule="constant", epochs=20),
    scientific={
        "dropout": levels(0.0, 0.25),
        "learning_rate": levels(3e-4, 3e-3),
        "batch_size": levels(32, 512),
        "weight_decay": levels(0.0, 1e-4),
    },
    folds=True,
    claims=[
        Claim(id="R2.b", measure="val_accuracy", influence="dropout", direction="higher",
              regime=REGIME),
        Claim(id="R2.f", measure="val_accuracy", best=SETTING, direction="higher", regime=REGIME),
    ],
    budgets={
        "quick": Budget(epochs=2, train_images=2_000, seeds=1),
        "standard": Budget(epochs=10, train_images=5_000),
        "full": Budget(epochs=12),
    },
)  # fmt: skip
