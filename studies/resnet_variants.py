"""Is ResNet18 fast but less accurate than VGG8, and does dilation help it?

Report R1 sets a dilation of 1, which is an ordinary convolution; here it is 2.  As in the report,
ResNet18 has 7x7 positions before its last pooling; where it had one, dilation would read padding
alone.  The report's figure says fewer kernels, its text says more: both are levels of the full
budget, with the usual strides.  The learning rate is tuned for each network, over the same values.

    python -m fashion_hpo.study resnet_variants
"""

from optuna.distributions import FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

ASKED = levels("resnet18_7x7", "resnet18_7x7_dilated", "vgg8", "vgg12")
REGIME = Regime(at={"architecture": "vgg8"}, reaches=0.888, steps=3_000)

STUDY = StudySpec(
    base=TrainConfig(pixel_range="symmetric", batch_size=64, schedule="constant", epochs=20),
    scientific={"architecture": (*ASKED, "resnet18_narrow", "resnet18_wide")},
    nuisance={"learning_rate": FloatDistribution(1e-4, 3e-3, log=True)},
    nuisance_points=4, folds=True,
    models="best",
    claims=[
        Claim(id="R1.d", regime=REGIME, parts=[
            Part("images_per_second", "higher", contrast=("architecture", "vgg12", "resnet18_7x7")),
            Part("val_accuracy", "lower", contrast=("architecture", "vgg8", "resnet18_7x7"),
                 margin=0.016),
        ]),
        Claim(id="R1.e", regime=REGIME, measure="val_accuracy", direction="same", margin=0.005,
              contrast=("architecture", "resnet18_7x7", "resnet18_7x7_dilated")),
    ],
    budgets={
        "quick": Budget(
            epochs=1, train_images=300, seeds=1, nuisance_points=1,
            scientific={"architecture": ASKED[:3]},
        ),
        "standard": Budget(
            epochs=2, train_images=1_000, nuisance_points=1,
            scientific={"architecture": ASKED},
        ),
        "full": Budget(epochs=12, nuisance_points=2),
    },
)  # fmt: skip
