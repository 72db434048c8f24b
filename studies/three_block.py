"""Does the three-block CNN reach 99.43 % on Fashion-MNIST?

Report R4's network by its protocol (Adam, batch 32, at most 20 epochs, early stopping with patience
5 and the best weights), without its augmentation, which `three_block_augmentation` varies.

R4.a cannot be right: the class supports in the report's table, 980, 1135, 1032 and so on, are the
digit counts of MNIST's test set.  Fashion-MNIST has 1,000 test images of every class.

    python -m fashion_hpo.study three_block
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Regime, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(
        architecture="three_block_cnn",
        batch_size=32,
        schedule="constant",
        epochs=20,
        early_stopping_patience=5,
    ),
    scientific={"dropout": levels(0.5)},
    folds=True,
    claims=[
        Claim(
            id="R4.a",
            measure="model_val_accuracy",
            figure=0.9943,
            direction="higher",
            regime=Regime(at={"dropout": 0.5}, reaches=0.9, steps=10_000),
        ),
    ],
    budgets={
        "quick": Budget(epochs=2, train_images=2_000, seeds=2),
        "standard": Budget(train_images=4_000),
        "full": Budget(),
    },
)
