"""Do MixUp and RandAugment improve every network?

Report R1, at its dropout of 0.1.  R1's code has alpha 2, as here, but mixes validation images too;
here they are never mixed.  RandAugment's magnitude is of 30, as in torchvision, where the paper's
code has 10.

    python -m fashion_hpo.study augmentation

Standard trains the fastest network, and does not ask the claim, which needs the report's regime.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

NETWORKS = levels("vit_pooled", "vgg8", "resnet18_7x7")
MIXUP, RANDAUGMENT = ("mixup_alpha", 0.0, 2.0), ("randaugment_operations", 0, 2)
PLAIN = {"mixup_alpha": 0.0, "randaugment_operations": 0}
REGIME = Regime(at={"architecture": "vgg8"} | PLAIN, reaches=0.888, steps=3_000)

STUDY = StudySpec(
    base=TrainConfig(
        pixel_range="symmetric", batch_size=64, dropout=0.1, randaugment_magnitude=9, epochs=20
    ),
    scientific={"architecture": NETWORKS}
    | {field: levels(*values) for field, *values in (MIXUP, RANDAUGMENT)},
    folds=True,
    claims=[
        Claim(id="R1.h", regime=REGIME, parts=[
            Part("val_accuracy", "higher", contrast=contrast, at={"architecture": network})
            for network in NETWORKS
            for contrast in (MIXUP, RANDAUGMENT)
        ]),
    ],
    budgets={
        "quick": Budget(epochs=1, train_images=500, seeds=1,
                        scientific={"architecture": NETWORKS[:1]}),
        "standard": Budget(epochs=4, train_images=3_000,
                           scientific={"architecture": NETWORKS[:1]}),
        "full": Budget(epochs=15),
    },
)  # fmt: skip
