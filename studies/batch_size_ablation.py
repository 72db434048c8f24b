"""Does a large batch train more smoothly, and to a lower loss, than a small one?

Report R2, figures 4.3 and 4.4.  Answered twice: with the learning rate of the report's other
ablations for all batch sizes, where a larger batch also means fewer steps; and with the learning
rate tuned for each batch size.

    python -m fashion_hpo.study batch_size_ablation

Standard asks neither claim: with 6,000 images the reference stays below the report's accuracy.
"""

from optuna.distributions import FloatDistribution

from fashion_hpo.design.config import TrainConfig
from fashion_hpo.design.spec import Budget, Claim, Direction, Part, Regime, StudySpec, levels

MEASURED: dict[str, Direction] = {
    "roughness": "lower",
    "val_loss": "lower",
    "val_accuracy": "higher",
    "generalization_gap": "lower",
}
ENDS = {"batch_size": levels(32, 512)}

STUDY = StudySpec(
    base=TrainConfig(architecture="optimized_cnn", dropout=0.1, schedule="constant", epochs=20),
    scientific={"batch_size": levels(32, 128, 512)},
    nuisance={"learning_rate": FloatDistribution(1e-4, 3e-2, log=True)},
    nuisance_points=5,
    nuisance_base=True, folds=True,
    claims=[
        Claim(
            id=name, text=text,
            regime=Regime(at={"batch_size": 32}, reaches=0.89, steps=1_500), parts=[
                Part(measure, direction, contrast=("batch_size", 32, 512), untuned=untuned)
                for measure, direction in MEASURED.items()
            ],
        )
        for name, text, untuned in (
            ("R2.c", "", True),  # the report's text
            ("R2.c-tuned", "The same, with the learning rate tuned for each size.", False),
        )
    ],
    captions={32: "low batch size", 512: "high batch size"},
    budgets={
        "quick": Budget(epochs=4, train_images=8_000, seeds=2, nuisance_points=2, scientific=ENDS),
        "standard": Budget(train_images=6_000, nuisance_points=3, scientific=ENDS),
        "full": Budget(seeds=5, nuisance_points=3, scientific=ENDS),
    },
)  # fmt: skip
