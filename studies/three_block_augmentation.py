"""Are augmentation and dropout both crucial for the three-block CNN?

Report R4's network, and its own augmentation as one switch: `warp` 1 has rotation up to 10 degrees,
shifts and zoom up to 10 %, `warp` 0 none of them.  Each is left out of the report's setting, which
has both.  A fixed number of epochs instead of early stopping, so that all cells train for as long.

    python -m fashion_hpo.study three_block_augmentation

Standard does not ask the claim, which needs the report's regime.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

SETTING = {"warp": 1.0, "dropout": 0.5}

STUDY = StudySpec(
    base=TrainConfig(
        architecture="three_block_cnn", batch_size=32, schedule="constant", epochs=20,
        rotation=10.0, shift=0.1, zoom=0.1,
    ),
    scientific={"warp": levels(0.0, 1.0), "dropout": levels(0.0, 0.5)},
    folds=True,
    claims=[
        Claim(id="R4.b", regime=Regime(at=SETTING, reaches=0.9, steps=10_000), parts=[
            Part("val_accuracy", "higher", contrast=("warp", 0.0, 1.0), margin=0.01,
                 at={"dropout": 0.5}),
            Part("val_accuracy", "higher", contrast=("dropout", 0.0, 0.5), margin=0.01,
                 at={"warp": 1.0}),
        ]),
    ],
    budgets={
        "quick": Budget(epochs=1, train_images=500, seeds=1),
        "standard": Budget(epochs=6, train_images=8_000),
        "full": Budget(),
    },
)  # fmt: skip
