"""Do MixUp and RandAugment improve every network, and are augmentation and dropout crucial?

Reports R1 and R4.  R1's code has alpha 2, as here, but mixes validation images too; here they are
never mixed; R1.h is asked at the report's dropout, 0.1.  RandAugment, on or off, stands for R4's
rotation, shift and zoom; its magnitude is of 30, as in torchvision, where the paper's code has 10.

    python -m fashion_hpo.study augmentation

Standard trains the two fastest networks, about 45 minutes on two CPU cores, and asks neither claim:
both need the report's regime.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

NETWORKS = levels("vit_pooled", "three_block_cnn", "vgg8", "resnet18")
MIXUP, RANDAUGMENT = ("mixup_alpha", 0.0, 2.0), ("randaugment_operations", 0, 2)
DROPOUT, THREE_BLOCK = ("dropout", 0.0, 0.5), {"architecture": "three_block_cnn"}
PLAIN = {"mixup_alpha": 0.0, "randaugment_operations": 0}
REGIME = Regime(at={"architecture": "vgg8", "dropout": 0.1} | PLAIN, reaches=0.888, steps=3_000)
OF_THREE_BLOCK = Regime(at=THREE_BLOCK | PLAIN | {"dropout": 0.5}, reaches=0.9, steps=3_000)

STUDY = StudySpec(
    base=TrainConfig(pixel_range="symmetric", batch_size=64, randaugment_magnitude=9, epochs=20),
    scientific={"architecture": NETWORKS}
    | {field: levels(*values) for field, *values in (MIXUP, RANDAUGMENT)}
    | {"dropout": levels(0.0, 0.1, 0.5)},
    folds=True,
    claims=[
        Claim(id="R1.h", regime=REGIME, parts=[
            Part("val_accuracy", "higher", contrast=contrast,
                 at={"architecture": network, "dropout": 0.1})
            for network in ("vit_pooled", "vgg8", "resnet18")
            for contrast in (MIXUP, RANDAUGMENT)
        ]),
        Claim(id="R4.b", regime=OF_THREE_BLOCK, parts=[
            Part("val_accuracy", "higher", contrast=RANDAUGMENT, margin=0.01,
                 at=THREE_BLOCK | {"mixup_alpha": 0.0, "dropout": 0.5}),
            Part("val_accuracy", "higher", contrast=DROPOUT, margin=0.01, at=THREE_BLOCK | PLAIN),
        ]),
    ],
    budgets={
        "quick": Budget(epochs=1, train_images=500, seeds=1,
                        scientific={"architecture": NETWORKS[:2]}),
        "standard": Budget(epochs=4, train_images=3_000,
                           scientific={"architecture": NETWORKS[:2]}),
        "full": Budget(epochs=15),
    },
)  # fmt: skip
