"""Which errors does MobileNetV2 make, and are its confident predictions reliable?

Report R3's protocol: cycles of the rate that decay, L2 on both dense layers of the head, early
stopping; the amounts are ours.  But from random weights; R3 starts from ImageNet's, which R3.a is
about.  Confidence is not calibration, so R3.c has two parts: most predictions are confident, and
the calibration error is low.  Confident means a probability of 0.8: with label smoothing 0.1 the
network is trained towards 0.91, and at 0.9 most of its predictions would lie at the threshold.

    python -m fashion_hpo.study mobilenet_transfer

About 700 images/s on two CPU cores: standard takes about 30 minutes.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

REGIME = Regime(at={"architecture": "mobilenet_v2"}, reaches=0.9, steps=1_500)

STUDY = StudySpec(
    base=TrainConfig(
        optimizer="adamw", weight_decay=0.01, schedule="cyclical", label_smoothing=0.1, epochs=30,
        cycle_decay=0.8, dropout=0.2, head_l2=1e-4, head_l2_layers=2, early_stopping_patience=5,
        rotation=10.0, shift=0.1, shear=10.0, zoom=0.1,
    ),
    scientific={"architecture": levels("mobilenet_v2")},
    folds=True,
    claims=[
        Claim(
            id="R3.a",
            untestable="ImageNet's weights cannot be downloaded where the studies were run",
        ),
        Claim(id="R3.b", regime=REGIME, measure="look_alike_errors", direction="higher",
              figure=0.5),
        Claim(id="R3.c", regime=REGIME, parts=[
            Part("probable_share", "higher", figure=0.5),
            Part("ece", "lower", figure=0.02),
        ]),
    ],
    budgets={
        "quick": Budget(epochs=2, train_images=1_000, seeds=2),
        "standard": Budget(epochs=15, train_images=20_000),
        "full": Budget(epochs=15),
    },
)  # fmt: skip
