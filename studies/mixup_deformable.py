"""Do deformable convolutions and MixUp gain more together than each alone?

Report R0's plain and deformable CNN, with and without MixUp, by the protocol of its text (batch 128
accumulated twice, alpha 0.3; its code has batch 64 and alpha 0.2).  Departure: a fixed number of
epochs instead of early stopping.

    python -m fashion_hpo.study mixup_deformable

The deformable CNN trains about 115 images/s on two CPU cores: standard takes about 25 minutes.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

MIXUP = ("mixup_alpha", 0.0, 0.3)
DEFORMABLE = ("architecture", "cnn", "deformable_cnn")
PLAIN, UNMIXED = {"architecture": "cnn"}, {"mixup_alpha": 0.0}
BOTH = {"architecture": "deformable_cnn", "mixup_alpha": 0.3}
REGIME = Regime(at=PLAIN | UNMIXED, reaches=0.89, steps=1_500)

STUDY = StudySpec(
    base=TrainConfig(pixel_range="symmetric", batch_size=128, accumulation=2, epochs=20),
    scientific={"architecture": levels(*DEFORMABLE[1:]), "mixup_alpha": levels(*MIXUP[1:])},
    folds=True,
    claims=[
        Claim(id="R0.a", regime=REGIME, parts=[
            Part("val_accuracy", "lower", contrast=MIXUP, at=PLAIN, margin=0.001),
            Part("val_loss", "lower", contrast=MIXUP, at=PLAIN, margin=0.008),
        ]),
        Claim(id="R0.b", regime=REGIME, parts=[
            Part("val_accuracy", "same", contrast=DEFORMABLE, at=UNMIXED, margin=0.005),
            Part("val_loss", "lower", contrast=DEFORMABLE, at=UNMIXED, margin=0.0036),
        ]),
        Claim(id="R0.c", regime=REGIME, parts=[
            Part("val_accuracy", "higher", interaction=(MIXUP, DEFORMABLE), margin=0.004),
            Part("val_loss", "lower", interaction=(MIXUP, DEFORMABLE), margin=0.0087),
        ]),
        Claim(id="R0.g", regime=REGIME, measure="ece", direction="lower", contrast=MIXUP,
              at=PLAIN),
        Claim(id="R0.i", regime=REGIME, measure="val_accuracy", direction="higher", best=BOTH,
              epoch=3),
    ],
    budgets={
        "quick": Budget(epochs=1, train_images=500, seeds=1),
        "standard": Budget(epochs=6, train_images=2_000),
        "full": Budget(seeds=5),
    },
)  # fmt: skip
