"""Which hyperparameter matters most, and which setting is best, if all trials make equal steps?

The study `hyperparameter_importance` trains all settings for as many epochs, so that a batch of 512
makes 16 times fewer optimizer steps than one of 32.  Here every trial makes the steps of the base
config, whose batch size is 128: batch 32 has a quarter of its epochs, batch 512 four times as many.
The ranges are the same.

    python -m fashion_hpo.study importance_at_equal_steps

Standard asks neither claim: with 5,000 images the reference stays below the report's accuracy.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Regime, StudySpec, levels

SETTING = {"dropout": 0.25, "learning_rate": 3e-4, "batch_size": 512}
REGIME = Regime(at=SETTING | {"weight_decay": 0.0}, reaches=0.89, steps=1_000)

STUDY = StudySpec(
    base=TrainConfig(architecture="optimized_cnn", schedule="constant", batch_size=128, epochs=20),
    scientific={
        "dropout": levels(0.0, 0.25),
        "learning_rate": levels(3e-4, 3e-3),
        "batch_size": levels(32, 512),
        "weight_decay": levels(0.0, 1e-4),
    },
    folds=True,
    equal_steps=True,
    claims=[
        Claim(id="R2.b-steps", text="The same, where all trials make as many optimizer steps.",
              measure="val_accuracy", influence="dropout", direction="higher", regime=REGIME),
        Claim(id="R2.f-steps", text="The same, where all trials make as many optimizer steps.",
              measure="val_accuracy", best=SETTING, direction="higher", regime=REGIME),
    ],
    budgets={
        "quick": Budget(epochs=1, train_images=2_000, seeds=1),
        "standard": Budget(epochs=4, train_images=5_000),
        "full": Budget(epochs=12),
    },
)  # fmt: skip
