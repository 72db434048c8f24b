"""Do MixUp and RandAugment improve every network, and are augmentation and dropout crucial?

Reports R1 and R4.  R1's code has alpha 2, as here, but mixes validation images too; here they are
never mixed.  RandAugment, on or off, stands for R4's rotation, shift and zoom.

    python -m fashion_hpo.study augmentation

Standard trains the two fastest networks, about 30 minutes on two CPU cores.  It can refute R1.h,
but not reproduce it, because R1.h is about more networks.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, StudySpec, levels

NETWORKS = levels("vit_pooled", "three_block_cnn", "vgg8", "resnet18")
MIXUP, RANDAUGMENT = ("mixup_alpha", 0.0, 2.0), ("randaugment_operations", 0, 2)
DROPOUT, THREE_BLOCK = ("dropout", 0.0, 0.5), {"architecture": "three_block_cnn"}

STUDY = StudySpec(
    base=TrainConfig(pixel_range="symmetric", batch_size=64, randaugment_magnitude=9, epochs=20),
    scientific={"architecture": NETWORKS}
    | {field: levels(*values) for field, *values in (MIXUP, RANDAUGMENT, DROPOUT)},
    claims=[
        Claim(id="R1.h", parts=[
            Part("val_accuracy", "higher", contrast=contrast, at={"architecture": network})
            for network in ("vit_pooled", "vgg8", "resnet18")
            for contrast in (MIXUP, RANDAUGMENT)
        ]),
        Claim(id="R4.b", parts=[
            Part("val_accuracy", "higher", contrast=RANDAUGMENT, at=THREE_BLOCK, margin=0.01),
            Part("val_accuracy", "higher", contrast=DROPOUT, at=THREE_BLOCK, margin=0.01),
        ]),
    ],
    budgets={
        "quick": Budget(epochs=1, train_images=500, seeds=1,
                        scientific={"architecture": NETWORKS[:2]}),
        "standard": Budget(epochs=4, train_images=3_000,
                           scientific={"architecture": NETWORKS[:2]}),
        "full": Budget(),
    },
)  # fmt: skip
