"""Does a study that was stopped go on?"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(
        architecture="simple_cnn",
        architecture_options={"channels": 4, "hidden": 16},
        learning_rate=0.01,
        train_images=2000,
        batch_size=50,
        epochs=6,
        precision="fp32",
    ),
    scientific={"mixup_alpha": levels(0.0, 0.3)},
    seeds=1,
    budgets={"quick": Budget()},
)
