"""Does dropout lower the generalization gap of a very small network?"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(
        architecture="simple_cnn",
        architecture_options={"channels": 4, "hidden": 16},
        learning_rate=0.01,
        train_images=2000,
        batch_size=50,
        epochs=3,
        precision="fp32",
    ),
    scientific={"dropout": levels(0.0, 0.25)},
    seeds=2,
    claims=[
        Claim(
            id="K.a",
            text="Dropout lowers the generalization gap.",
            measure="generalization_gap",
            contrast=("dropout", 0.0, 0.25),
            direction="lower",
        )
    ],
    budgets={"quick": Budget()},
)
