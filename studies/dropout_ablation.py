"""Does dropout stop the validation loss from diverging from the training loss?

Report R2, figures 4.1 and 4.2.  The learning rate is constant, as in the report.

    python -m fashion_hpo.study dropout_ablation

Measured: standard, 9 trials, 11 minutes on two CPU cores.  Without dropout the losses diverge from
epoch 3 on and the gap ends at 0.64; with dropout 0.25 it ends at 0.22: R2.a is reproduced.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Regime, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(architecture="optimized_cnn", schedule="constant", epochs=20),
    scientific={"dropout": levels(0.0, 0.1, 0.25, 0.4)},
    claims=[
        Claim(
            id="R2.a",
            measure="generalization_gap",
            contrast=("dropout", 0.0, 0.25),
            direction="lower",
            margin=0.02,
            regime=Regime(at={"dropout": 0.25}, reaches=0.89, steps=1_500),
        ),
        Claim(
            id="R2.a-small",
            text="The same, with few images and epochs.",
            measure="generalization_gap",
            contrast=("dropout", 0.0, 0.25),
            direction="lower",
            margin=0.02,
            small_scale=True,
        ),
    ],
    captions={0.0: "without dropout", 0.25: "with dropout"},
    budgets={
        "quick": Budget(
            epochs=6, train_images=4_000, seeds=3, scientific={"dropout": levels(0.0, 0.25)}
        ),
        "standard": Budget(train_images=10_000, scientific={"dropout": levels(0.0, 0.1, 0.25)}),
        "full": Budget(scientific={"dropout": levels(0.0, 0.1, 0.25)}),
    },
)
