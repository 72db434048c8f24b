"""Does a high learning rate make loss and accuracy jump, where a low one is smooth but slower?

Report R2, figures 4.5 and 4.6.  The rate is constant over the epochs, as in the report.

    python -m fashion_hpo.study learning_rate_ablation

Measured: standard, 9 trials, 10 minutes on two CPU cores; the curves of the high rate are rougher
on average, but R2.d is undecided with three seeds.
"""

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Part, Regime, StudySpec, levels

STUDY = StudySpec(
    base=TrainConfig(architecture="optimized_cnn", dropout=0.1, schedule="constant", epochs=20),
    scientific={"learning_rate": levels(1e-4, 1e-3, 1e-2)},
    claims=[
        Claim(
            id="R2.d",
            parts=[
                Part(measure, "lower", contrast=("learning_rate", 1e-2, 1e-4))
                for measure in ("roughness", "loss_roughness")
            ],
            regime=Regime(at={"learning_rate": 1e-3}, reaches=0.89, steps=1_500),
        )
    ],
    captions={1e-4: "low learning rate", 1e-2: "high learning rate"},
    budgets={
        "quick": Budget(
            epochs=8, train_images=8_000, seeds=2, scientific={"learning_rate": levels(1e-4, 1e-2)}
        ),
        "standard": Budget(train_images=10_000),
        "full": Budget(seeds=5),
    },
)
