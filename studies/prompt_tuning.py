"""How much accuracy does prompt tuning lose against training the whole vision transformer?

Report R0 does not say what its frozen backbone was trained on; here it has random weights, the
likely reading.  The learning rate is tuned for each way of training, over the same values.

    python -m fashion_hpo.study prompt_tuning

R0.h has a count, an epoch that may never come: its exact test needs the six seeds of `full`.

With prompts the transformer trains about 90 images/s on two CPU cores: standard takes about 35
minutes.
"""

from optuna.distributions import FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

FULL, SHALLOW, DEEP = "vit", "vit_shallow_prompts", "vit_deep_prompts"
REGIME = Regime(at={"architecture": FULL}, reaches=0.836, steps=1_500)

STUDY = StudySpec(
    base=TrainConfig(pixel_range="symmetric", dropout=0.1, batch_size=128, epochs=20),
    scientific={"architecture": levels(FULL, SHALLOW, DEEP)},
    nuisance={"learning_rate": FloatDistribution(3e-4, 3e-2, log=True)},
    nuisance_points=3, folds=True,
    claims=[
        Claim(id="R0.e", regime=REGIME, parts=[
            Part("val_accuracy", "lower", contrast=("architecture", FULL, SHALLOW), margin=0.115),
            Part("val_accuracy", "lower", contrast=("architecture", FULL, DEEP), margin=0.117),
        ]),
        Claim(id="R0.h", regime=REGIME, parts=[
            Part("parting_epoch", "lower", figure="epochs", at={"architecture": DEEP}),
            Part("roughness", "higher", contrast=("architecture", FULL, DEEP)),
        ]),
    ],
    budgets={
        "quick": Budget(epochs=1, train_images=300, seeds=1, nuisance_points=1,
                        scientific={"architecture": levels(FULL, DEEP)}),
        "standard": Budget(epochs=4, train_images=1_000, nuisance_points=2),
        "full": Budget(epochs=10, train_images=25_000, seeds=6, nuisance_points=2),
    },
)  # fmt: skip
