"""Does a large batch train more smoothly, and to a lower loss, than a small one?

Report R2, figures 4.3 and 4.4.  The learning rate is the same for every batch size, as in the
report, so a larger batch also means fewer steps.

    python -m fashion_hpo.study batch_size_ablation
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(architecture="optimized_cnn", dropout=0.1, schedule="constant", epochs=20),
    scientific={"batch_size": levels(32, 128, 512)},
    claims=[
        Claim(
            id="R2.c",
            parts=[
                Part(measure="roughness", contrast=("batch_size", 32, 512), direction="lower"),
                Part(measure="val_loss", contrast=("batch_size", 32, 512), direction="lower"),
                Part(measure="val_accuracy", contrast=("batch_size", 32, 512), direction="higher"),
            ],
        )
    ],
    captions={32: "low batch size", 512: "high batch size"},
    budgets={
        "quick": Budget(
            epochs=8, train_images=8_000, seeds=2, scientific={"batch_size": levels(32, 512)}
        ),
        "standard": Budget(train_images=10_000),
        "full": Budget(epochs=30, seeds=5),
    },
)
