"""Does dropout keep the validation loss from parting from the training loss?  (R2, figures 4.1, 4.2)

    python -m fashion_hpo.study dropout_ablation
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(architecture="optimized_cnn", batch_size=128, epochs=20),
    scientific={"dropout": levels(0.0, 0.1, 0.25, 0.4)},
    seeds=3,
    claims=[
        Claim(
            id="R2.a",
            text="with dropout the training and validation losses fall together; without, they part",
            measure="generalization_gap",
            contrast=("dropout", 0.0, 0.25),
            direction="lower",
            margin=0.02,
        )
    ],
    captions={0.0: "without dropout", 0.25: "with dropout 0.25"},
    budgets={
        "quick": Budget(
            epochs=5, train_images=10_000, seeds=2, scientific={"dropout": levels(0.0, 0.25)}
        ),
        "standard": Budget(
            train_images=20_000, seeds=3, scientific={"dropout": levels(0.0, 0.1, 0.25)}
        ),
        "full": Budget(epochs=30, train_images=50_000, seeds=5),
    },
)
