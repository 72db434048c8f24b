"""Does MixUp help the plain CNN, and at which strength?

Report R0 states alpha 0.3, its published code has 0.2, and R1's code has 2: all are levels here.

    python -m fashion_hpo.study mixup_ablation
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(architecture="cnn", pixel_range="symmetric", epochs=20),
    scientific={"mixup_alpha": levels(0.0, 0.2, 0.3, 2.0)},
    captions={0.0: "without MixUp", 0.3: "with MixUp, alpha 0.3"},
    budgets={
        "quick": Budget(
            epochs=8, train_images=8_000, seeds=2, scientific={"mixup_alpha": levels(0.0, 0.3)}
        ),
        "standard": Budget(train_images=10_000),
        "full": Budget(epochs=30, seeds=5),
    },
)
